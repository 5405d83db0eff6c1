"""Pictures that are drawn by code, so that anybody may publish them; a model recognizes most of what they show."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Colour = tuple[int, int, int]
    Drawing = Callable[["Canvas", Random], None]

#: Drawn larger, and made small: edges are smooth then.
_SCALE = 2


class Canvas:
    """A picture in the making; coordinates are 0…1 of its width and of its height."""

    def __init__(self, width: int, height: int, top: Colour, bottom: Colour) -> None:
        self.width, self.height = width * _SCALE, height * _SCALE
        down = np.linspace(0, 1, self.height)[:, None, None]
        shade = np.array(top) * (1 - down) + np.array(bottom) * down
        self.image = Image.fromarray(np.broadcast_to(shade, (self.height, self.width, 3)).astype(np.uint8))

    def spot(self, x: float, y: float) -> tuple[float, float]:
        return x * self.width, y * self.height

    def around(self, x: float, y: float, angle: float, reach: float) -> tuple[float, float]:
        """Return where one comes to from a place, at an angle from downwards; `reach` is a share of the height."""
        return x + reach * math.sin(angle) * self.height / self.width, y + reach * math.cos(angle)

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        ImageDraw.Draw(self.image).polygon([self.spot(*point) for point in points], fill=colour)

    def line(self, points: list[tuple[float, float]], colour: Colour, width: float) -> None:
        thick = max(1, round(width * self.height))
        ImageDraw.Draw(self.image).line([self.spot(*point) for point in points], colour, thick, joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, radius: float = 0) -> None:
        corners = (*self.spot(left, top), *self.spot(right, bottom))
        ImageDraw.Draw(self.image).rounded_rectangle(corners, radius * self.height, fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a disc; its radius is a share of the height."""
        across, down = self.spot(x, y)
        reach = radius * self.height
        ImageDraw.Draw(self.image).ellipse((across - reach, down - reach, across + reach, down + reach), fill=colour)

    def ball(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a ball that is lit from the upper left."""
        for step in range(40):
            share = step / 40
            lit = tuple(round(part + (255 - part) * 0.75 * share**2.2) for part in colour)
            off = radius * 0.35 * share
            self.disc(x - off * self.height / self.width, y - off, radius * (1 - share), (lit[0], lit[1], lit[2]))

    def done(self, dice: Random) -> Image.Image:
        """Return the picture with the grain that photos have."""
        small = self.image.resize((self.width // _SCALE, self.height // _SCALE), Image.Resampling.LANCZOS)
        noise = np.random.default_rng(dice.randrange(2**32)).normal(128, 5, (small.height, small.width)).clip(0, 255)
        grain = Image.merge("RGB", [Image.fromarray(noise.astype(np.uint8))] * 3)
        return ImageChops.add(small.filter(ImageFilter.GaussianBlur(0.6)), grain, offset=-128)


def traffic_light(canvas: Canvas, dice: Random) -> None:
    x = dice.uniform(0.4, 0.6)
    canvas.box(x - 0.015, 0.6, x + 0.015, 1, (60, 60, 64))
    canvas.box(x - 0.1, 0.1, x + 0.1, 0.68, (28, 30, 32), 0.05)
    lit = dice.randrange(3)
    for place, (on, off) in enumerate(
        [((255, 60, 40), (90, 20, 16)), ((255, 190, 30), (90, 66, 10)), ((60, 230, 120), (16, 80, 40))]
    ):
        canvas.ball(x, 0.21 + place * 0.18, 0.075, on if place == lit else off)


def balloon(canvas: Canvas, dice: Random) -> None:
    stripes = [(214, 48, 49), (253, 203, 110), (9, 132, 227), (255, 255, 255)]
    x, y = dice.uniform(0.4, 0.6), 0.38
    for stripe in range(9):
        width = 0.3 * math.cos(stripe / 9 * math.pi / 2)
        colour = stripes[stripe % 4]
        points = [
            (x + side * width * math.sin(angle) * canvas.height / canvas.width, y - 0.3 * math.cos(angle))
            for side, angles in ((1, np.linspace(0, math.pi * 0.82, 40)), (-1, np.linspace(math.pi * 0.82, 0, 40)))
            for angle in angles
        ]
        canvas.polygon(points, colour)
    for side in (-1, 1):
        canvas.line([(x + side * 0.06, 0.62), (x + side * 0.03, 0.78)], (90, 70, 50), 0.005)
    canvas.box(x - 0.035, 0.78, x + 0.035, 0.86, (120, 82, 45), 0.01)


def analog_clock(canvas: Canvas, dice: Random) -> None:
    canvas.disc(0.5, 0.5, 0.4, (60, 42, 30))
    canvas.disc(0.5, 0.5, 0.36, (250, 248, 240))
    for mark in range(60):
        angle = mark / 60 * 2 * math.pi
        inner = 0.29 if mark % 5 == 0 else 0.325
        ends = [canvas.around(0.5, 0.5, angle, reach) for reach in (inner, 0.34)]
        canvas.line(ends, (20, 20, 20), 0.014 if mark % 5 == 0 else 0.005)
    for length, width in ((0.18, 0.02), (0.28, 0.013)):
        canvas.line([(0.5, 0.5), canvas.around(0.5, 0.5, dice.uniform(0, 6.28), length)], (15, 15, 15), width)
    canvas.disc(0.5, 0.5, 0.02, (170, 30, 30))


def spider_web(canvas: Canvas, dice: Random) -> None:
    x, y = dice.uniform(0.4, 0.6), dice.uniform(0.4, 0.6)
    spokes = sorted(dice.uniform(-0.1, 0.1) + spoke / 18 * 2 * math.pi for spoke in range(18))
    for angle in spokes:
        canvas.line([(x, y), canvas.around(x, y, angle, 1.2)], (225, 230, 235), 0.004)
    for ring in range(1, 26):
        reach = 0.025 + ring * 0.026
        points = []
        for angle, after in zip(spokes, [*spokes[1:], spokes[0] + 2 * math.pi], strict=True):
            points += [canvas.around(x, y, angle, reach), canvas.around(x, y, (angle + after) / 2, reach * 0.94)]
        canvas.line([*points, points[0]], (215, 222, 230), 0.003)


def lemon(canvas: Canvas, dice: Random) -> None:
    for _ in range(3):
        x, y, radius = dice.uniform(0.25, 0.75), dice.uniform(0.5, 0.72), dice.uniform(0.17, 0.22)
        for side in (-1, 1):
            canvas.ball(x + side * radius * 0.6, y, radius * 0.42, (235, 190, 20))
        canvas.ball(x, y, radius, (245, 205, 30))


def orange(canvas: Canvas, dice: Random) -> None:
    for _ in range(5):
        x, y = dice.uniform(0.25, 0.75), dice.uniform(0.45, 0.75)
        canvas.ball(x, y, 0.19, (240, 130, 20))
        canvas.disc(x + 0.02, y - 0.1, 0.012, (90, 110, 40))


def bubble(canvas: Canvas, dice: Random) -> None:
    layer = Image.new("RGB", canvas.image.size)
    draw = ImageDraw.Draw(layer)

    def ring(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        return x - radius, y - radius, x + radius, y + radius

    for _ in range(7):
        x, y = canvas.spot(dice.uniform(0.1, 0.9), dice.uniform(0.1, 0.9))
        radius = dice.uniform(0.08, 0.24) * canvas.height
        for step in range(24):
            hue = [(90, 40, 110), (30, 90, 120), (110, 90, 30), (40, 110, 70)][step // 6]
            faint = tuple(part * (24 - step) // 24 for part in hue)
            draw.ellipse(ring(x, y, radius * (1 - step * 0.012)), outline=faint, width=4)
        draw.ellipse(ring(x - radius * 0.5, y - radius * 0.5, radius * 0.18), fill=(200, 210, 220))
    canvas.image = ImageChops.add(canvas.image, layer.filter(ImageFilter.GaussianBlur(2)))


def honeycomb(canvas: Canvas, dice: Random) -> None:
    size = 0.055
    for row in range(-1, 14):
        for column in range(-1, 16):
            x = (column + (row % 2) / 2) * size * 1.74 * canvas.height / canvas.width
            y = row * size * 1.5
            shade = dice.uniform(0.75, 1)
            for reach, colour in ((0.98, (150, 92, 18)), (0.8, (round(236 * shade), round(165 * shade), 40))):
                canvas.polygon([canvas.around(x, y, turn * math.pi / 3, size * reach) for turn in range(6)], colour)


def crossword(canvas: Canvas, dice: Random) -> None:
    canvas.box(0.12, 0.06, 0.88, 0.94, (250, 250, 246))
    for row in range(13):
        for column in range(13):
            left, top = 0.14 + column * 0.0555, 0.085 + row * 0.0645
            black = dice.random() < 0.22
            canvas.box(left, top, left + 0.0555, top + 0.0645, (10, 10, 10))
            if not black:
                canvas.box(left + 0.002, top + 0.003, left + 0.0535, top + 0.0615, (252, 252, 250))
                if dice.random() < 0.35:
                    canvas.box(left + 0.008, top + 0.01, left + 0.015, top + 0.025, (60, 60, 60))


def volcano(canvas: Canvas, dice: Random) -> None:
    peak = dice.uniform(0.42, 0.58)
    for puff in range(70):
        share = puff / 70
        grey = round(110 + 100 * share + dice.uniform(-15, 15))
        x = peak + dice.gauss(0, 0.02 + 0.13 * share)
        canvas.disc(x, 0.36 - 0.34 * share, 0.03 + 0.07 * share, (grey, grey, grey + 6))
    canvas.polygon([(0.02, 1), (peak - 0.07, 0.36), (peak + 0.07, 0.36), (0.98, 1)], (74, 62, 58))
    canvas.polygon([(0.02, 1), (peak - 0.07, 0.36), (peak, 0.4), (0.45, 1)], (92, 78, 70))
    for _ in range(5):
        points = [(peak + dice.uniform(-0.05, 0.05), 0.37)]
        while points[-1][1] < 0.85:
            points.append((points[-1][0] + dice.uniform(-0.03, 0.03), points[-1][1] + 0.06))
        canvas.line(points, (255, 110, 30), 0.014)


def parachute(canvas: Canvas, dice: Random) -> None:
    x, y = dice.uniform(0.4, 0.6), 0.4
    ratio = canvas.height / canvas.width
    colours = [(230, 57, 70), (241, 250, 238), (29, 53, 87)]

    def seam(number: int) -> list[tuple[float, float]]:
        """Return where two gores meet, from the top down."""
        across = 0.28 * math.sin(math.pi * (number / 9 - 0.5)) * ratio
        return [(x + across * math.sin(down), y - 0.24 * math.cos(down)) for down in np.linspace(0, math.pi / 2, 20)]

    for gore in range(9):
        canvas.polygon([*seam(gore), *reversed(seam(gore + 1))], colours[gore % 3])
        canvas.line([seam(gore)[-1], (x, 0.72)], (40, 40, 40), 0.003)
    canvas.disc(x, 0.74, 0.022, (60, 40, 30))
    canvas.box(x - 0.02, 0.755, x + 0.02, 0.84, (50, 60, 90), 0.01)


def candle(canvas: Canvas, dice: Random) -> None:
    for x in (0.3, 0.5, 0.7):
        top = dice.uniform(0.45, 0.6)
        for ring in range(30, 0, -1):
            glow = round(60 * (1 - ring / 30))
            canvas.disc(x, top - 0.08, ring * 0.006, (40 + glow * 2, 24 + glow, 14 + glow // 3))
        canvas.box(x - 0.05, top, x + 0.05, 0.95, (236, 222, 190), 0.02)
        canvas.polygon(
            [(x - 0.018, top - 0.03), (x, top - 0.15), (x + 0.018, top - 0.03), (x, top - 0.01)], (255, 190, 60)
        )
        canvas.polygon([(x - 0.008, top - 0.03), (x, top - 0.09), (x + 0.008, top - 0.03)], (255, 245, 210))


def street_sign(canvas: Canvas, dice: Random) -> None:
    canvas.box(0.485, 0.4, 0.515, 1, (140, 144, 148))
    canvas.box(0.14, 0.2, 0.86, 0.42, (18, 110, 70), 0.03)
    canvas.box(0.155, 0.22, 0.845, 0.4, (240, 244, 242), 0.02)
    canvas.box(0.162, 0.23, 0.838, 0.39, (18, 110, 70), 0.02)
    for letter in range(9):
        left = 0.2 + letter * 0.068
        canvas.box(left, 0.265, left + dice.uniform(0.02, 0.05), 0.355, (245, 248, 246))
        canvas.box(left + 0.01, dice.choice((0.285, 0.31)), left + 0.03, 0.33, (18, 110, 70))


_SKY = ((104, 160, 214), (222, 234, 242))
_DUSK = ((78, 86, 140), (244, 176, 130))
_NIGHT = ((10, 10, 16), (24, 18, 20))
_GREEN = ((46, 74, 44), (22, 40, 24))
_WALL = ((214, 206, 196), (188, 178, 166))
#: Each with the colours behind it, from top to bottom.
_DRAWINGS: dict[str, tuple[Drawing, tuple[Colour, Colour]]] = {
    "balloon": (balloon, _DUSK),
    "bubble": (bubble, _GREEN),
    "candle": (candle, _NIGHT),
    "clock": (analog_clock, _WALL),
    "crossword": (crossword, _WALL),
    "honeycomb": (honeycomb, _WALL),
    "lemon": (lemon, _WALL),
    "orange": (orange, _WALL),
    "parachute": (parachute, _SKY),
    "spider-web": (spider_web, _GREEN),
    "street-sign": (street_sign, _SKY),
    "traffic-light": (traffic_light, _DUSK),
    "volcano": (volcano, _SKY),
}
_SIZES = ((640, 480), (480, 640), (600, 600))


def draw_pictures(folder: Path, count: int) -> Iterator[Path]:
    """Draw so many pictures below a folder, and yield their paths; the same ones each time."""
    for number in range(count):
        name = list(_DRAWINGS)[number % len(_DRAWINGS)]
        draw, (top, bottom) = _DRAWINGS[name]
        dice = Random(number)  # noqa: S311 - nothing is to be kept secret
        canvas = Canvas(*_SIZES[number % len(_SIZES)], top, bottom)
        draw(canvas, dice)
        path = folder / ("outside" if (top, bottom) in (_SKY, _DUSK) else "at home") / f"{name}-{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.done(dice).save(path, quality=88)
        yield path
