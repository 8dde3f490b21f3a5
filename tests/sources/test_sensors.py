"""A code of a band means something only together with its sensor."""

from __future__ import annotations

import pytest

from owl_geo.sources.sensors import by_code, sensor_of


def b(*numbers: int, width: int = 1) -> tuple[str, ...]:
    return tuple(f"B{number:0{width}d}" for number in numbers)


@pytest.mark.parametrize(
    ("names", "texts", "sensor"),
    [
        (b(2, 3, 4, 8, width=2), (), "sentinel2"),
        (b(2, 3, 4, 8), (), "sentinel2"),
        ((*b(2, 3, 4, 5, 6, 7, 8, 11, 12, width=2), "B8A"), (), "sentinel2"),
        (b(2, 3, 4, 5, 6, 7, 8, 11, 12), (), "sentinel2"),  # Landsat has no B12
        (b(2, 3, 4, 8), ("LC08_L1TP_198030_20210601_20210608_02_T1",), "oli"),
        (b(1, 2, 3, 4, 5, 7), ("LE07_L2SP_198030",), "tm"),
        (b(1, 2, 3, 4), ("Sentinel-2A MSI",), "sentinel2"),
        (b(1, 2, 3, 4), ("LANDSAT_5 TM",), "tm"),
        (b(1, 2, 3, 4, 5, 6, 7), (), None),  # Landsat, nobody knows which
        (("SR_B1", "SR_B5", "SR_B6"), (), "oli"),
        (("SR_B4", "SR_B5"), (), None),
        (("SR_B4", "SR_B5"), ("l8_2021",), "oli"),
        (b(4, 5), ("l8_2021",), None),
        (("sur_refl_b01", "sur_refl_b02"), (), "modis"),
        (("sur_refl_b01_1", "sur_refl_b02_1"), (), "modis"),
        (("Nadir_Reflectance_Band1",), (), "modis"),
        (("MYD09A1.061_sur_refl_b02_doy2021177000000_aid0001",), (), "modis"),
        (b(0, 1, 2, 3), (), None),  # Pleiades
        (b(1, 2, 3, 4), (), None),  # SPOT
        (("B01", "B02", "B3N", "B04", "B08"), (), "aster"),
        (b(*range(4, 10), width=2), (), None),  # ASTER's shortwave infrared
        (b(*range(1, 13)), (), None),  # VENuS
        (b(*range(1, 13)), ("VENUS-XS_20180201",), "venus"),
        (b(*range(1, 17), width=2), (), None),  # AHI
        (b(*range(1, 7), width=2), (), None),  # AHI's reflective bands
        (b(*range(1, 7), width=2), ("HS_H09_20230101",), "ahi"),
        (("HLS.L30.T31TFL.B05", "HLS.L30.T31TFL.B04"), (), "oli"),
        (("HLS.S30.T31TFL.B05", "HLS.S30.T31TFL.B04"), (), "sentinel2"),
        (("T31TFM_20230616T103629_B02_10m", "T31TFM_20230616T103629_B8A_20m"), (), "sentinel2"),
        (("x_B03_10m", "x_B08_10m_clip"), (), "sentinel2"),
        (("MYD13A1.A2020153.h30v10.006_NDVI_B01",), (), "modis_index"),
        (("CBERS_4_AWFI_20170420_146_129_L2_BAND13",), (), "cbers"),
        (("CBERS_4A_MUX_20200808_201_137_L4_BAND5",), (), "cbers"),
        (("CBERS_4A_WPM_20200730_209_139_L4_BAND1",), (), "wpm"),
        (("BAND1", "BAND2"), ("AMAZONIA_1_WFI_20210304_033_018_L4",), "wpm"),
        (("LC08_L1TP_016037_20170813_20170814_01_T1_sr_band4",), (), "oli"),
        (("SR_B4_median", "SR_B5_median", "SR_B6_median"), (), "oli"),
        (("B2_p50", "B4_p50", "B8_p50"), (), "sentinel2"),
        (("SENTINEL-2_MSI_20LKP_B02_2020-06-04",), (), "sentinel2"),
        (("ga_ls8c_nbart_3-2-1_090085_2020-04-05_final_band02",), (), "oli"),
        (("ga_s2bm_nbart_3-2-1_54JWN_2021-09-13_final_band02",), (), "sentinel2"),
        (b(4, 6, 8, width=2), (), "sentinel2"),
        (b(4, 6, 8, width=2), ("openEO_SENTINEL3_OLCI_L1B",), "olci"),
        (b(4, 6, 8, width=2), ("S3B_OL_1_EFR____20200101",), "olci"),
        (b(4, 6, 8, width=2), ("OLCI Sentinel-3A",), None),
        (b(4, 6, 8, width=2), ("Sentinel-3",), "other"),
        (("B0", "B2", "B3", "MIR"), ("S3A_SY_2_V10____20200101",), "other"),
        (b(1, 2, 3, 4), ("LANDSAT_5 MSS",), None),  # B3 and B4 are near infrared
        (b(1, 2, 3, 4), ("LM05_L1TP_027039_19850601_20200101_02_T2",), "other"),
        (b(3, 4, 5, 8, width=2), ("EO-1 ALI",), "other"),
        (b(2, 3, 4, width=2), ("RS2_LISS4_2019",), "other"),
        (b(3, 4, 8, width=2), ("KX10_MII_20220101",), "other"),
        (b(3, 4, 8, width=2), ("ENVISAT MERIS",), "other"),
        (b(1, 2), ("raster of the master plan",), None),
        (b(4, 5), ("landsat-8 and sentinel-2 fused",), None),
    ],
)
def test_which_sensor(names: tuple[str, ...], texts: tuple[str, ...], sensor: str | None) -> None:
    assert sensor_of(names, *texts) == sensor


@pytest.mark.parametrize(
    ("sensor", "names", "commons"),
    [
        ("modis", [f"sur_refl_b0{i}" for i in range(1, 5)], ("red", "nir", "blue", "green")),
        ("modis", ["sur_refl_b02_1"], ("nir",)),
        ("modis", ["MOD09A1.061_sur_refl_b02_doy2021177_aid0001"], ("nir",)),
        ("oli", ["LC08_L1TP_016037_20170813_20170814_01_T1_sr_band4"], ("red",)),
        ("tm", ["toa_band4", "sr_band5", "Band4", "my_band_4"], ("nir", "swir1", None, None)),
        ("modis_index", ["x_NDVI_B01", "x_RR_B04", "x_NIRR_B05"], (None, "red", "nir")),
        ("cbers", ["CBERS_4_AWFI_20170420_146_129_L2_BAND15"], ("red",)),
        ("cbers", ["CBERS_4_PAN5M_20170427_161_109_L4_BAND1"], ("pan",)),
        ("wpm", ["CBERS_4A_WPM_20200730_209_139_L4_BAND1", "B0"], ("blue", "pan")),
        ("cbers", ["B13", "BAND13"], ("blue", None)),  # GDAL's NetCDF says BAND of any
        ("sentinel2", ["x_B04_10m", "x_B8A_20m_cropped", "x_B04_10"], ("red", "nir08", None)),
        ("olci", ["B04", "B06", "B08", "B17"], ("blue", "green", "red", "nir")),
        ("other", ["B01", "B04"], (None, None)),
        ("aster", ["B01", "B02", "B3N", "B08"], ("green", "red", "nir", None)),
        ("oli", ["SR_B5", "B8", "band_4"], ("nir", "pan", None)),
        ("tm", ["SR_B5", "B4"], ("swir1", "nir")),
        ("sentinel2", ["x_B08", "B8A, central wavelength 865 nm"], ("nir", "nir08")),
        (None, ["B08", "B04"], (None, None)),
        ("oli", ["SR_B5_median", "SR_B4_p25", "SR_B4_stdDev"], ("nir", "red", None)),
        ("sentinel2", ["x_B08_2020-06-04", "B04_20200604", "B04_2020"], ("nir", "red", None)),
        ("tm", ["ga_ls5t_nbart_3-2-1_090085_1999-04-05_final_band03"], ("red",)),
    ],
)
def test_what_codes_mean(
    sensor: str | None, names: list[str], commons: tuple[str | None, ...]
) -> None:
    assert by_code(names, sensor) == commons
