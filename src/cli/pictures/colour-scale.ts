/**
 * A sequential colour scale from white to dark blue. A single hue with decreasing lightness is readable with any colour vision and
 * in grayscale. The stops are ColorBrewer's "Blues" (Harrower and Brewer, 2003).
 */

type Colour = readonly [red: number, green: number, blue: number];

const stops: readonly Colour[] = [
  [255, 255, 255],
  [222, 235, 247],
  [198, 219, 239],
  [158, 202, 225],
  [107, 174, 214],
  [66, 146, 198],
  [33, 113, 181],
  [8, 81, 156],
  [8, 48, 107],
];

/** Maps a fraction (0 to 1) to a position on the scale (0 to 1) by its square root, so that an error rate of 1 % is visible. */
export function scalePosition(share: number): number {
  return Math.sqrt(share);
}

/** Returns the colour at a position from 0 to 1 as `#rrggbb`. */
export function colourAt(position: number): string {
  return `#${rgbAt(position)
    .map((value) => value.toString(16).padStart(2, '0'))
    .join('')}`;
}

/** Returns black or white, whichever has the higher contrast with the colour at this position: at least 4.5 on any colour. */
export function inkOn(position: number): string {
  const light = luminance(rgbAt(position));
  return (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) ? '#000000' : '#ffffff';
}

function rgbAt(position: number): Colour {
  const at = Math.min(1, Math.max(0, position)) * (stops.length - 1);
  const below = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [stops[below] as Colour, stops[below + 1] as Colour];
  const mix = (channel: 0 | 1 | 2): number =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (at - below));
  return [mix(0), mix(1), mix(2)];
}

/** Relative luminance as WCAG 2 defines it, 0 to 1. */
function luminance(colour: Colour): number {
  const [red, green, blue] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as unknown as Colour;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
