#!/bin/sh
# Runs the tests of tests/qgis in another QGIS than this system's: in a root file system that
# debootstrap makes from another suite of Debian. It takes root and Linux, 3 GB of disk and about
# ten minutes; once made, the file system is used again. The test in a desktop takes its screen
# from outside: Xvfb, xdotool and ImageMagick.
#
#   tests/qgis/newer_qgis.sh FOLDER [ARGUMENT ...]
#
# FOLDER is where the file system goes; the arguments are pytest's, everything in tests/plugin by
# default. The label store's server stays outside and is reached by loopback:
#
#   OWL_QGIS_SUITE=trixie tests/qgis/newer_qgis.sh /var/tmp/trixie tests/plugin/test_qgis.py
#
# OWL_QGIS_SUITE    the suite, sid by default
# OWL_QGIS_MIRROR   where its packages come from, http://deb.debian.org/debian by default
# OWL_PYTHON        the interpreter that has owl_geo and pytest, .venv/bin/python by default
set -eu

[ $# -ge 1 ] || { echo "usage: $0 FOLDER [ARGUMENT ...]" >&2; exit 2; }
mkdir -p "$1"
root=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${OWL_PYTHON:-$here/.venv/bin/python}
cd "$here"
"$python" -c "import owl_geo, pytest" || { echo "OWL_PYTHON names one that has them" >&2; exit 2; }
[ $# -ge 1 ] || set -- tests/plugin

if [ ! -e "$root/.made" ]; then
    debootstrap --variant=minbase "${OWL_QGIS_SUITE:-sid}" "$root" \
        "${OWL_QGIS_MIRROR:-http://deb.debian.org/debian}"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y --no-install-recommends \
        qgis python3-qgis python3-pytest fonts-dejavu-core
    chroot "$root" apt-get clean
    touch "$root/.made"
fi

# The folders that tests hand over have the same paths inside as outside. Each of the two
# interpreters has a door to the other side: QGIS's, its desktop's and qgis_process's outside, the
# core's inside. The doors know where their own programs are: a test starts them with no PATH.
doors=$(mktemp -d)
trap 'rm -rf "$doors"' EXIT
mkdir "$doors/bin"
chroot=$(command -v chroot)
for program in python3 qgis qgis_process.bin; do
    inside=/usr/bin/$program
    [ -e "$root$inside" ] || inside=${inside%.bin}
    cat > "$doors/bin/$program" <<DOOR
#!/bin/sh
exec $chroot "$root" /usr/bin/env -C "\$PWD" $inside "\$@"
DOOR
done
mv "$doors/bin/python3" "$doors/python3"
cat > "$doors/core" <<DOOR
#!/bin/sh
[ ! -e /outside/proc ] || exec $chroot /outside /usr/bin/env -C "\$PWD" "$python" "\$@"
exec "$python" "\$@"
DOOR
chmod +x "$doors/python3" "$doors/core" "$doors/bin"/*
mkdir -p "$root/outside" "$root$here" "$root$doors"

# mounts in a namespace of their own end with it
export root here doors python
unshare --mount sh -c '
    set -eu
    mount --rbind / "$root/outside"
    for place in /tmp /proc /dev /sys "$here" "$doors"; do
        mkdir -p "$root$place"
        mount --rbind "$place" "$root$place"
    done
    chroot "$root" python3 -c "
import sqlite3
from osgeo import gdal
from qgis.core import Qgis
print(\"QGIS\", Qgis.QGIS_VERSION, \"GDAL\", gdal.__version__, \"SQLite\", sqlite3.sqlite_version)"
    export OWL_REQUIRE_QGIS=1 OWL_QGIS_PYTHON="$doors/python3" OWL_CORE_PYTHON="$doors/core"
    export PYTHONPATH="$here" PATH="$doors/bin:$PATH"
    "$python" -m pytest -q "$@"
' sh "$@"
