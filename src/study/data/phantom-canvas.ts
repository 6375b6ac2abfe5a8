import { randomOf } from './random.ts';

/** A square of brightness, 0 (black) to 1 (white), that shapes are painted on with soft edges. Coordinates are 0 to 1, y down. */
export interface Canvas {
  readonly size: number;
  /** `[size × size]`, rows first. */
  readonly pixels: Float32Array;
}

/** How shapes in body coordinates come to lie on the canvas: scaled and turned about the centre. */
export interface Pose {
  readonly scale: number;
  /** Radians, clockwise on the screen. */
  readonly angle: number;
}

export interface EllipseOptions {
  /** Radians. */
  readonly angle?: number;
  readonly opacity?: number;
  /** Width of the edge in pixels. */
  readonly soft?: number;
  /** Cuts this share of the radii out of the middle: a ring. */
  readonly hole?: number;
  /** Bumps of the outline: how many, and how deep as a share of the radius. */
  readonly lobes?: { readonly count: number; readonly depth: number; readonly phase: number };
  /** Only what lies above this y (body coordinates of the shape itself, −1 top to 1 bottom). */
  readonly above?: number;
}

export function newCanvas(size: number, brightness: number): Canvas {
  return { size, pixels: new Float32Array(size * size).fill(brightness) };
}

function place(pose: Pose, x: number, y: number): [number, number] {
  const [dx, dy] = [(x - 0.5) * pose.scale, (y - 0.5) * pose.scale];
  return [0.5 + dx * Math.cos(pose.angle) - dy * Math.sin(pose.angle), 0.5 + dx * Math.sin(pose.angle) + dy * Math.cos(pose.angle)];
}

/** The brightness at a point in body coordinates: what a lesion there has to stand out against. */
export function brightnessAt(canvas: Canvas, pose: Pose, x: number, y: number): number {
  const [px, py] = place(pose, x, y);
  const at = (value: number): number => Math.min(canvas.size - 1, Math.max(0, Math.floor(value * canvas.size)));
  return canvas.pixels[at(py) * canvas.size + at(px)] ?? 0;
}

/** Paints an ellipse (or ring, or lobed shape) of one brightness; radii are shares of the image's width. */
export function ellipse(canvas: Canvas, pose: Pose, x: number, y: number, rx: number, ry: number, value: number, options: EllipseOptions = {}): void {
  const { size, pixels } = canvas;
  const { opacity = 1, soft = 1, hole = 0, lobes, above } = options;
  const [cx, cy] = place(pose, x, y);
  const angle = pose.angle + (options.angle ?? 0);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [ax, ay] = [rx * pose.scale * size, ry * pose.scale * size];
  const steep = Math.min(ax, ay) / soft;
  const reach = Math.max(ax, ay) * (1 + (lobes?.depth ?? 0)) + soft;
  const [px, py] = [cx * size - 0.5, cy * size - 0.5];
  const [left, right] = [Math.max(0, Math.ceil(px - reach)), Math.min(size - 1, Math.floor(px + reach))];
  const [top, bottom] = [Math.max(0, Math.ceil(py - reach)), Math.min(size - 1, Math.floor(py + reach))];
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      const [dx, dy] = [column - px, row - py];
      const u = (dx * cos + dy * sin) / ax;
      const v = (dy * cos - dx * sin) / ay;
      if (above !== undefined && v > above) continue;
      let radius = Math.sqrt(u * u + v * v);
      if (lobes !== undefined) radius /= 1 + lobes.depth * Math.cos(lobes.count * Math.atan2(v, u) + lobes.phase);
      let cover = Math.min(1, Math.max(0, 0.5 - (radius - 1) * steep));
      if (cover === 0) continue;
      if (hole > 0) cover -= Math.min(1, Math.max(0, 0.5 - (radius - hole) * steep));
      if (cover <= 0) continue;
      const index = row * size + column;
      pixels[index] = (pixels[index] ?? 0) + cover * opacity * (value - (pixels[index] ?? 0));
    }
  }
}

/** Paints a straight stroke with round ends; `width` is its half width as a share of the image. */
export function stroke(canvas: Canvas, pose: Pose, from: readonly [number, number], to: readonly [number, number], width: number, value: number, opacity = 1): void {
  const { size, pixels } = canvas;
  const [x0, y0] = place(pose, ...from).map(c => c * size - 0.5) as [number, number];
  const [x1, y1] = place(pose, ...to).map(c => c * size - 0.5) as [number, number];
  const half = Math.max(0.55, width * pose.scale * size);
  const [ex, ey] = [x1 - x0, y1 - y0];
  const length = ex * ex + ey * ey || 1;
  const [left, right] = [Math.max(0, Math.floor(Math.min(x0, x1) - half - 1)), Math.min(size - 1, Math.ceil(Math.max(x0, x1) + half + 1))];
  const [top, bottom] = [Math.max(0, Math.floor(Math.min(y0, y1) - half - 1)), Math.min(size - 1, Math.ceil(Math.max(y0, y1) + half + 1))];
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      const along = Math.min(1, Math.max(0, ((column - x0) * ex + (row - y0) * ey) / length));
      const [dx, dy] = [column - x0 - along * ex, row - y0 - along * ey];
      const cover = Math.min(1, Math.max(0, half + 0.5 - Math.sqrt(dx * dx + dy * dy)));
      if (cover === 0) continue;
      const index = row * size + column;
      pixels[index] = (pixels[index] ?? 0) + cover * opacity * (value - (pixels[index] ?? 0));
    }
  }
}

const bankSize = 256;

/** Fields of noise, drawn once: images take windows of them at their own offsets, which is a hundred times quicker than drawing. */
export interface NoiseBank {
  /** Standard normal, no correlation: CT and X-ray quanta. */
  readonly white: Float32Array;
  /** Standard normal, correlated over some 3 pixels: MR. */
  readonly smooth: Float32Array;
  /** Rayleigh with mean 1, wider than high: ultrasound speckle. */
  readonly speckle: Float32Array;
}

function blur(field: Float32Array, across: number, down: number): Float32Array {
  const out = new Float32Array(field.length);
  for (let row = 0; row < bankSize; row += 1) {
    for (let column = 0; column < bankSize; column += 1) {
      let sum = 0;
      for (let dy = -down; dy <= down; dy += 1) {
        for (let dx = -across; dx <= across; dx += 1) {
          sum += field[((row + dy + bankSize) % bankSize) * bankSize + ((column + dx + bankSize) % bankSize)] ?? 0;
        }
      }
      out[row * bankSize + column] = sum / Math.sqrt((2 * across + 1) * (2 * down + 1));
    }
  }
  return out;
}

let bank: NoiseBank | undefined;

/** The noise is the same for every data set; what differs is where an image looks into it. */
export function noiseBank(): NoiseBank {
  if (bank !== undefined) return bank;
  const random = randomOf('phantom noise');
  const normal = (): Float32Array => Float32Array.from({ length: bankSize * bankSize }, () => random.normal());
  const [real, imaginary] = [blur(normal(), 1, 0), blur(normal(), 1, 0)];
  bank = {
    white: normal(),
    smooth: blur(normal(), 1, 1),
    speckle: real.map((value, index) => Math.hypot(value, imaginary[index] ?? 0) / Math.sqrt(Math.PI / 2)),
  };
  return bank;
}

/** The noise at a pixel of the window that begins at `offset`. */
export function noiseAt(field: Float32Array, offset: number, row: number, column: number): number {
  return field[(offset + row * bankSize + column) & (bankSize * bankSize - 1)] ?? 0;
}
