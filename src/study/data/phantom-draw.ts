import { modalityOfView, paintAnatomy } from './phantom-anatomy.ts';
import type { PhantomModality, Sites } from './phantom-anatomy.ts';
import { brightnessAt, ellipse, newCanvas, noiseAt, noiseBank, stroke } from './phantom-canvas.ts';
import type { Canvas, Pose } from './phantom-canvas.ts';
import type { Lesions, Scene } from './phantom-scene.ts';
import type { Random } from './random.ts';

/** Radii as shares of the image's width: at 32 pixels 1, 1.7, 2.5 and 4 pixels. */
const lesionRadius = { small: 0.033, medium: 0.054, large: 0.078, huge: 0.125 } as const;
const patientScale = { thin: 0.82, average: 0.91, large: 1 } as const;
const noiseStrength = { low: 0.4, medium: 0.8, high: 1.4 } as const;
const exposurePower = { dark: 1.35, normal: 1, bright: 0.75 } as const;

/** Which way is the patient's side on the screen: as in radiology, the patient's left is on the right. */
const onScreen = { left: 1, right: -1 } as const;

function paintLesions(canvas: Canvas, pose: Pose, lesions: Lesions, sites: Sites, random: Random): void {
  const radius = lesionRadius[lesions.size] * random.between(0.94, 1.06);
  const x = sites.middle + onScreen[lesions.side] * sites.aside + random.between(-0.02, 0.02);
  const y = sites.levels[lesions.level] + random.between(-0.02, 0.02);
  // Two lie side by side, three in a triangle, with room between them: the number must be countable.
  const away = lesions.count === 1 ? 0 : lesions.count === 2 ? radius * 1.4 : radius * 1.6;
  const turn = random.between(0, 2 * Math.PI);
  const strength = lesions.faint ? random.between(0.5, 0.62) : random.between(0.82, 0.95);
  for (let index = 0; index < lesions.count; index += 1) {
    const direction = turn + (2 * Math.PI * index) / lesions.count;
    const [cx, cy] = [x + away * Math.cos(direction), y + away * Math.sin(direction)];
    const behind = Math.min(0.7, Math.max(0.3, brightnessAt(canvas, pose, cx, cy)));
    const value = lesions.contrast === 'bright' ? behind + strength * (1 - behind) : behind * (1 - strength);
    const flat = lesions.shape === 'oval' ? 0.55 : 1;
    ellipse(canvas, pose, cx, cy, radius / Math.sqrt(flat), radius * Math.sqrt(flat), value, {
      angle: lesions.shape === 'oval' ? turn + Math.PI / 2 : 0,
      hole: lesions.fill === 'hollow' ? 0.58 : 0,
      lobes: lesions.shape === 'irregular' ? { count: 5, depth: 0.32, phase: random.between(0, 6) } : undefined,
    });
  }
}

/** On the side that the lesions are not on, so that it hides none of them. */
function paintDevice(canvas: Canvas, pose: Pose, scene: Scene, random: Random): void {
  const way = -onScreen[scene.lesions.side];
  const x = (aside: number): number => 0.5 + way * aside;
  const shift = random.between(-0.04, 0.04);
  switch (scene.device) {
    case 'none':
      return;
    case 'needle':
      return stroke(canvas, pose, [x(0.5), 0.12 + shift], [x(0.16), 0.5 + shift], 0.008, 1);
    case 'tube': {
      // A curve with a dark lumen, from above down along the side.
      const points = Array.from({ length: 9 }, (_, step) => [x(0.1 + 0.24 * Math.sin((step / 8) * Math.PI)), (step / 8) * 0.9 + shift] as const);
      for (const [width, value] of [[0.036, 1], [0.014, 0.05]] as const) {
        for (let step = 1; step < points.length; step += 1) stroke(canvas, pose, points[step - 1] ?? [0, 0], points[step] ?? [0, 0], width, value);
      }
      return;
    }
    case 'plate': {
      const [top, bottom] = [0.62 + shift, 0.9 + shift];
      stroke(canvas, pose, [x(0.34), top], [x(0.34), bottom], 0.045, 1);
      for (const share of [0.1, 0.5, 0.9]) ellipse(canvas, pose, x(0.34), top + share * (bottom - top), 0.022, 0.022, 0.05);
    }
  }
}

/** What the machine adds: grain, haze, the fan of an ultrasound probe. */
function addTexture(canvas: Canvas, modality: PhantomModality, scene: Scene, random: Random): void {
  const { size, pixels } = canvas;
  const bank = noiseBank();
  const offset = random.below(1 << 16);
  const strength = noiseStrength[scene.noise];
  const [slopeX, slopeY] = [random.between(-0.25, 0.25), random.between(-0.25, 0.25)];
  const power = exposurePower[scene.exposure];
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const index = row * size + column;
      const [x, y] = [(column + 0.5) / size - 0.5, (row + 0.5) / size];
      let value = pixels[index] ?? 0;
      if (modality === 'ct') value += 0.04 * strength * noiseAt(bank.white, offset, row, column);
      else if (modality === 'xray') value = value * (1 - 0.5 * x * x) + slopeX * x * 0.2 + 0.02 * strength * noiseAt(bank.white, offset, row, column);
      else if (modality === 'mri') value = Math.abs(value * (1 + slopeX * x + slopeY * (y - 0.5)) + 0.045 * strength * noiseAt(bank.smooth, offset, row, column));
      else {
        // A sector with its tip above the image; speckle multiplies, and sound gets weaker with depth.
        const depth = Math.hypot(x, y + 0.16);
        const inside = Math.abs(x) < (y + 0.16) * 0.82 && depth > 0.2 && depth < 1.1;
        const speckle = 1 + 0.38 * strength * (noiseAt(bank.speckle, offset, row, column) - 1);
        value = inside ? value * Math.max(0, speckle) * (1.12 - 0.4 * y) : 0;
      }
      pixels[index] = Math.min(1, Math.max(0, value)) ** power;
    }
  }
}

/**
 * Draws a scene. The same scene and random stream give the same bytes on every machine and, but for the grain, the same
 * picture at every resolution.
 *
 * @param random the image's nuisance: proportions, small shifts, grain
 * @param out `[size × size]` bytes, rows first, 0 black to 255 white
 */
export function drawPhantom(scene: Scene, size: number, random: Random, out: Uint8Array): void {
  const modality = modalityOfView(scene.view);
  const scale = patientScale[scene.patient] * random.between(0.97, 1.03);
  const tilt = scene.tilt === 'none' ? random.between(-0.05, 0.05) : onScreen[scene.tilt] * random.between(0.25, 0.35);
  const pose: Pose = { scale, angle: tilt };
  const canvas = newCanvas(size, modality === 'xray' ? 0.06 : 0.02);
  const sites = paintAnatomy(canvas, pose, scene.view, random);
  paintDevice(canvas, pose, scene, random);
  paintLesions(canvas, pose, scene.lesions, sites, random);
  if (scene.other !== null) paintLesions(canvas, pose, scene.other, sites, random);
  addTexture(canvas, modality, scene, random);
  for (let index = 0; index < canvas.pixels.length; index += 1) out[index] = Math.round((canvas.pixels[index] ?? 0) * 255);
}
