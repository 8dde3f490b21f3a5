#!/usr/bin/env bash
# scipy 1.17.1, bottleneck 1.6.0, opencv-python-headless 5.0.0.93, numpy 2.4.6 (Python 3.11).
#
# Means and spreads around each pixel (textures, speckle filters, smoothed indices) are computed with a square window. One
# expects a pixel without data to spoil the windows that it is in: 25 of them with 5 x 5 pixels. scipy's uniform_filter
# spoils the five rows as far as the right border, and the five columns as far as the lower one, since it adds what enters
# the window to a running sum and takes away what leaves it. After -3.4028235e38, the usual no-data value of float32, the
# sum has lost what it held before; what follows is off by a constant, looks like data and has no gap. One NaN makes NaN of
# all that lies below and to the right. Computing in float64 changes nothing. OpenCV's blur spoils the columns.
# gaussian_filter and convolve spoil 25 pixels.
#
# bottleneck's moving windows run in float32 where the data are: after a single -9999 the means of reflectances are off in
# the fourth digit, and spreads by more than they are. It skips NaN, and is right with it.
#
# The way out is to replace what is missing before filtering, and to divide by the filtered mask.
#
# Output as seen, for 100 x 100 reflectances of 0.1 to 0.4 without data in row 20, column 20; how many pixels differ by
# more than 0.0001 from what they are with data there, and the largest difference outside the window:
#   scipy, uniform_filter, -9999               25 differ, by 0.0000
#   scipy, uniform_filter, -3.4028235e38      795 differ, by 0.2548
#   scipy, uniform_filter, NaN               6724 differ, by nan
#   scipy, in float64, -3.4028235e38          795 differ, by 0.2548
#   scipy, convolve, -3.4028235e38             25 differ, by 0.0000
#   scipy, gaussian_filter, -3.4028235e38      25 differ, by 0.0000
#   OpenCV, blur, -3.4028235e38               410 differ, by 0.1914
#   bottleneck, move_mean, -9999               80 differ, by 0.0003
#   bottleneck, move_std, -9999                80 differ, by 0.1186
#   bottleneck, move_std, NaN                   5 differ, by 0.0000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scipy==1.17.1 bottleneck==1.6.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import bottleneck
import cv2
import numpy as np
from scipy import ndimage

SIZE, AT, WIDTH = 100, 20, 5
with_data = np.random.default_rng(0).uniform(0.1, 0.4, (SIZE, SIZE)).astype("float32")
LOWEST = np.finfo("float32").min


def mean(image):
    return ndimage.uniform_filter(image, WIDTH)


def exact_mean(image):
    return mean(image.astype("float64"))


def convolved(image):
    return ndimage.convolve(image, np.full((WIDTH, WIDTH), 1 / WIDTH**2, dtype="float32"))


def smooth(image):
    return ndimage.gaussian_filter(image, 1.0, radius=WIDTH // 2)


def blurred(image):
    return cv2.blur(image, (WIDTH, WIDTH))


def moving_mean(image):  # of this pixel and the four to the left
    return bottleneck.move_mean(image, WIDTH, min_count=1, axis=1)


def moving_std(image):
    return bottleneck.move_std(image, WIDTH, min_count=1, axis=1)


def show(title, method, missing):
    without = with_data.copy()
    without[AT, AT] = missing
    seen, wanted = method(without), method(with_data)
    differs = ~(np.abs(seen - wanted) <= 1e-4)
    near = np.zeros_like(differs)
    if method in (moving_mean, moving_std):
        near[AT, AT : AT + WIDTH] = True
    else:
        near[AT - WIDTH // 2 : AT + WIDTH // 2 + 1, AT - WIDTH // 2 : AT + WIDTH // 2 + 1] = True
    far = np.abs(seen - wanted)[~near].max()
    print(f"{title:40}{np.sum(differs | near):5} differ, by {far:.4f}")


with np.errstate(all="ignore"):
    show("scipy, uniform_filter, -9999", mean, -9999)
    show("scipy, uniform_filter, -3.4028235e38", mean, LOWEST)
    show("scipy, uniform_filter, NaN", mean, np.nan)
    show("scipy, in float64, -3.4028235e38", exact_mean, LOWEST)
    show("scipy, convolve, -3.4028235e38", convolved, LOWEST)
    show("scipy, gaussian_filter, -3.4028235e38", smooth, LOWEST)
    show("OpenCV, blur, -3.4028235e38", blurred, LOWEST)
    show("bottleneck, move_mean, -9999", moving_mean, -9999)
    show("bottleneck, move_std, -9999", moving_std, -9999)
    show("bottleneck, move_std, NaN", moving_std, np.nan)
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
