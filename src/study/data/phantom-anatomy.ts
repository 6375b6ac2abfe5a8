import { ellipse, stroke } from './phantom-canvas.ts';
import type { Canvas, Pose } from './phantom-canvas.ts';
import type { View } from './phantom-scene.ts';
import type { Random } from './random.ts';

/** Brightness of tissues, 0 to 1, as the modality shows them. Where lesions lie it is neither near black nor near white. */
interface Tissues {
  readonly fat: number;
  readonly soft: number;
  readonly organ: number;
  readonly lung: number;
  readonly bone: number;
  readonly marrow: number;
  readonly fluid: number;
  readonly vessel: number;
}

const tissues: Readonly<Record<'ct' | 'mri' | 'xray' | 'ultrasound', Tissues>> = {
  ct: { fat: 0.24, soft: 0.4, organ: 0.52, lung: 0.27, bone: 0.95, marrow: 0.7, fluid: 0.2, vessel: 0.68 },
  mri: { fat: 0.85, soft: 0.36, organ: 0.5, lung: 0.12, bone: 0.1, marrow: 0.58, fluid: 0.92, vessel: 0.16 },
  xray: { fat: 0.24, soft: 0.36, organ: 0.56, lung: 0.32, bone: 0.66, marrow: 0.56, fluid: 0.5, vessel: 0.45 },
  ultrasound: { fat: 0.6, soft: 0.4, organ: 0.5, lung: 0.1, bone: 0.95, marrow: 0.3, fluid: 0.06, vessel: 0.1 },
};

/** Where a view's lesions lie: distance of either side from the middle, and the height of each level. */
export interface Sites {
  readonly middle: number;
  readonly aside: number;
  readonly levels: Readonly<Record<'upper' | 'middle' | 'lower', number>>;
}

interface Painter {
  readonly t: Tissues;
  /** Both sides of the body: the shape and its mirror image. */
  pair(aside: number, y: number, rx: number, ry: number, value: number, options?: Parameters<typeof ellipse>[7]): void;
  oval(x: number, y: number, rx: number, ry: number, value: number, options?: Parameters<typeof ellipse>[7]): void;
  line(from: readonly [number, number], to: readonly [number, number], width: number, value: number, opacity?: number): void;
  /** About 1, a little different in each image. */
  vary(): number;
}

function brain({ t, oval, pair, line, vary }: Painter): Sites {
  const [wide, tall] = [0.37 * vary(), 0.45 * vary()];
  oval(0.5, 0.5, wide, tall, t.fat);
  oval(0.5, 0.5, wide - 0.02, tall - 0.02, t.bone);
  oval(0.5, 0.5, wide - 0.055, tall - 0.055, t.fluid);
  oval(0.5, 0.5, wide - 0.065, tall - 0.065, t.organ, { lobes: { count: 14, depth: 0.025, phase: 0 } });
  line([0.5, 0.5 - tall + 0.07], [0.5, 0.5 + tall - 0.07], 0.004, t.fluid, 0.6);
  pair(0.055 * vary(), 0.45, 0.03, 0.1, t.fluid, { angle: 0.25 });
  pair(0.07 * vary(), 0.58, 0.025, 0.06, t.fluid, { angle: -0.5 });
  return { middle: 0.5, aside: 0.18, levels: { upper: 0.27, middle: 0.5, lower: 0.73 } };
}

function chestSlice({ t, oval, pair, line, vary }: Painter): Sites {
  const tall = 0.35 * vary();
  oval(0.5, 0.52, 0.48, tall, t.fat);
  oval(0.5, 0.52, 0.455, tall - 0.025, t.organ);
  for (const angle of [0.5, 0.95, 1.4, 1.85, 2.3]) {
    pair(0.42 * Math.sin(angle), 0.52 - (tall - 0.05) * Math.cos(angle), 0.045, 0.016, t.bone, { angle: angle * 0.9 });
  }
  pair(0.215, 0.51, 0.175 * vary(), 0.25 * vary(), t.lung, { angle: 0.1 });
  for (const y of [0.42, 0.5, 0.58]) pair(0.13, y, 0.03, 0.006, t.vessel, { angle: (y - 0.5) * 5, opacity: 0.5 });
  oval(0.54, 0.44, 0.1 * vary(), 0.12, t.vessel, { angle: 0.5 });
  oval(0.545, 0.64, 0.03, 0.03, 0.8);
  oval(0.5, 0.74, 0.055, 0.05, t.bone);
  line([0.5, 0.77], [0.5, 0.84], 0.012, t.bone);
  line([0.08, 0.93], [0.92, 0.93], 0.01, 0.3);
  return { middle: 0.5, aside: 0.235, levels: { upper: 0.36, middle: 0.51, lower: 0.66 } };
}

function chestFront({ t, oval, pair, line, vary }: Painter): Sites {
  oval(0.5, 0.62, 0.47, 0.62, t.soft, { soft: 3 });
  line([0.5, 0], [0.5, 0.2], 0.09, t.soft);
  oval(0.5, 0.5, 0.4, 0.5, t.organ, { soft: 4, opacity: 0.6 });
  pair(0.2, 0.46, 0.15 * vary(), 0.32 * vary(), t.lung, { angle: 0.07, soft: 2 });
  for (let rib = 0; rib < 7; rib += 1) pair(0.2, 0.2 + rib * 0.09, 0.185, 0.05, t.bone, { hole: 0.84, opacity: 0.33, above: 0.1, angle: 0.25 });
  pair(0.16, 0.15, 0.15, 0.015, t.bone, { angle: -0.2, opacity: 0.6 });
  for (let vertebra = 0; vertebra < 12; vertebra += 1) oval(0.5, 0.06 + vertebra * 0.08, 0.038, 0.03, t.bone, { opacity: 0.55 });
  oval(0.55, 0.62, 0.13 * vary(), 0.13, 0.68, { angle: 0.5, soft: 3 });
  oval(0.5, 0.34, 0.05, 0.12, 0.6, { soft: 3, opacity: 0.7 });
  pair(0.21, 0.9, 0.2, 0.13, 0.7, { soft: 3 });
  return { middle: 0.5, aside: 0.225, levels: { upper: 0.26, middle: 0.46, lower: 0.67 } };
}

function liverSlice({ t, oval, line, vary }: Painter): Sites {
  oval(0.5, 0.5, 0.49, 0.42 * vary(), t.fat);
  oval(0.5, 0.5, 0.465, 0.39, t.soft);
  oval(0.4, 0.48, 0.345 * vary(), 0.31 * vary(), t.organ, { lobes: { count: 3, depth: 0.07, phase: 0.6 } });
  oval(0.82, 0.56, 0.075, 0.15, t.organ, { angle: -0.2 });
  oval(0.75, 0.33, 0.09 * vary(), 0.07, t.fluid, { angle: 0.5 });
  line([0.4, 0.72], [0.42, 0.46], 0.012, t.vessel);
  line([0.42, 0.46], [0.3, 0.36], 0.009, t.vessel);
  line([0.42, 0.46], [0.52, 0.36], 0.009, t.vessel);
  oval(0.56, 0.7, 0.035, 0.035, t.vessel);
  oval(0.5, 0.82, 0.07, 0.06, t.bone);
  oval(0.5, 0.82, 0.045, 0.035, t.marrow);
  return { middle: 0.41, aside: 0.16, levels: { upper: 0.3, middle: 0.48, lower: 0.66 } };
}

function kidneys({ t, oval, pair, line, vary }: Painter): Sites {
  oval(0.5, 0.5, 0.44 * vary(), 0.56, t.fat);
  oval(0.5, 0.5, 0.4, 0.54, t.soft);
  for (let vertebra = 0; vertebra < 7; vertebra += 1) {
    oval(0.5, 0.06 + vertebra * 0.14, 0.06, 0.055, t.bone);
    oval(0.5, 0.06 + vertebra * 0.14, 0.042, 0.038, t.marrow);
  }
  pair(0.12, 0.75, 0.045, 0.3, t.soft * 1.15, { angle: -0.15 });
  pair(0.22, 0.48, 0.14 * vary(), 0.31 * vary(), t.fat, { angle: 0.12 });
  pair(0.225, 0.48, 0.125 * vary(), 0.29 * vary(), t.organ, { angle: 0.12 });
  pair(0.13, 0.48, 0.035, 0.08, t.fluid, { angle: 0.12 });
  line([0.37, 0.52], [0.43, 0.98], 0.006, t.fluid);
  line([0.63, 0.52], [0.57, 0.98], 0.006, t.fluid);
  return { middle: 0.5, aside: 0.235, levels: { upper: 0.28, middle: 0.48, lower: 0.68 } };
}

function pelvis({ t, oval, pair, line, vary }: Painter): Sites {
  oval(0.5, 0.5, 0.5, 0.6, t.soft, { soft: 4 });
  pair(0.25, 0.33, 0.21 * vary(), 0.24 * vary(), t.bone, { angle: -0.5, soft: 2 });
  pair(0.25, 0.33, 0.18, 0.2, t.marrow, { angle: -0.5, soft: 2, opacity: 0.8 });
  oval(0.5, 0.36, 0.1, 0.2, t.bone, { soft: 2 });
  oval(0.5, 0.62, 0.17 * vary(), 0.15, t.soft * 0.8, { soft: 2 });
  pair(0.11, 0.78, 0.09, 0.07, t.bone, { hole: 0.6, soft: 2 });
  line([0.19, 0.76], [0.12, 1], 0.06, t.bone, 0.9);
  line([0.81, 0.76], [0.88, 1], 0.06, t.bone, 0.9);
  pair(0.28, 0.68, 0.1 * vary(), 0.1, t.bone, { soft: 2 });
  pair(0.28, 0.68, 0.08, 0.08, t.marrow, { soft: 2 });
  for (let vertebra = 0; vertebra < 3; vertebra += 1) oval(0.5, 0.02 + vertebra * 0.09, 0.06, 0.04, t.bone);
  return { middle: 0.5, aside: 0.25, levels: { upper: 0.26, middle: 0.47, lower: 0.68 } };
}

function knee({ t, oval, pair, line, vary }: Painter): Sites {
  line([0.5, -0.1], [0.5, 1.1], 0.34 * vary(), t.fat);
  line([0.5, -0.1], [0.5, 1.1], 0.29, t.soft);
  line([0.5, -0.1], [0.5, 0.28], 0.15, t.bone);
  line([0.5, -0.1], [0.5, 0.28], 0.125, t.marrow);
  pair(0.13, 0.34, 0.15 * vary(), 0.13, t.bone);
  pair(0.13, 0.33, 0.125, 0.105, t.marrow);
  pair(0.13, 0.485, 0.12, 0.018, t.fluid, { opacity: 0.7 });
  oval(0.5, 0.6, 0.27, 0.09, t.bone);
  line([0.5, 0.62], [0.5, 1.1], 0.15, t.bone);
  line([0.5, 0.62], [0.5, 1.1], 0.125, t.marrow);
  oval(0.5, 0.6, 0.245, 0.065, t.marrow);
  line([0.76, 0.68], [0.74, 1.1], 0.035, t.bone);
  return { middle: 0.5, aside: 0.15, levels: { upper: 0.26, middle: 0.5, lower: 0.74 } };
}

function liverFan({ t, oval, line, vary }: Painter): Sites {
  oval(0.5, 0.5, 1, 1, t.organ);
  line([0.2, 0.12], [0.8, 0.12], 0.02, 0.85, 0.7);
  oval(0.5, 0.6, 0.52 * vary(), 0.4, 0.95, { hole: 0.95, opacity: 0.85 });
  line([0.3, 0.62], [0.5, 0.42], 0.016, t.vessel);
  line([0.5, 0.42], [0.62, 0.6], 0.013, t.vessel);
  oval(0.74, 0.66, 0.05, 0.08, t.fluid);
  return { middle: 0.5, aside: 0.17, levels: { upper: 0.33, middle: 0.54, lower: 0.75 } };
}

function kidneyFan({ t, oval, vary }: Painter): Sites {
  oval(0.5, 0.5, 1, 1, t.soft);
  oval(0.5, 0.55, 0.4 * vary(), 0.33 * vary(), 0.85);
  oval(0.5, 0.55, 0.38, 0.31, t.organ * 0.75);
  oval(0.5, 0.55, 0.18, 0.08, 0.9, { lobes: { count: 5, depth: 0.25, phase: 0.3 } });
  return { middle: 0.5, aside: 0.19, levels: { upper: 0.38, middle: 0.55, lower: 0.72 } };
}

function thyroidFan({ t, oval, pair, line, vary }: Painter): Sites {
  oval(0.5, 0.5, 1, 1, t.soft * 0.75);
  line([0.25, 0.16], [0.75, 0.16], 0.025, t.fat, 0.8);
  pair(0.2, 0.5, 0.17 * vary(), 0.26 * vary(), t.organ * 1.15, { angle: 0.15 });
  oval(0.5, 0.42, 0.14, 0.05, t.organ * 1.1);
  oval(0.5, 0.56, 0.085, 0.1, t.bone, { hole: 0.8 });
  oval(0.5, 0.58, 0.065, 0.08, 0.03);
  line([0.5, 0.64], [0.5, 1.1], 0.06, 0.05, 0.85);
  pair(0.36, 0.6, 0.05, 0.06, t.vessel);
  return { middle: 0.5, aside: 0.2, levels: { upper: 0.33, middle: 0.5, lower: 0.67 } };
}

const views: Readonly<Record<View, (painter: Painter) => Sites>> = {
  'ct brain': brain,
  'mri brain': brain,
  'ct chest': chestSlice,
  'xray chest': chestFront,
  'ct liver': liverSlice,
  'mri liver': liverSlice,
  'ultrasound liver': liverFan,
  'ct kidney': kidneys,
  'mri kidney': kidneys,
  'ultrasound kidney': kidneyFan,
  'xray pelvis': pelvis,
  'xray knee': knee,
  'mri knee': knee,
  'ultrasound thyroid': thyroidFan,
};

export type PhantomModality = keyof typeof tissues;

export function modalityOfView(view: View): PhantomModality {
  return view.split(' ')[0] as PhantomModality;
}

/** Paints the anatomy of a view, a little different in each image, and says where its lesions may lie. */
export function paintAnatomy(canvas: Canvas, pose: Pose, view: View, random: Random): Sites {
  const oval: Painter['oval'] = (x, y, rx, ry, value, options) => ellipse(canvas, pose, x, y, rx, ry, value, options);
  return views[view]({
    t: tissues[modalityOfView(view)],
    oval,
    pair: (aside, y, rx, ry, value, options = {}) => {
      oval(0.5 + aside, y, rx, ry, value, { ...options, angle: -(options.angle ?? 0) });
      oval(0.5 - aside, y, rx, ry, value, options);
    },
    line: (from, to, width, value, opacity) => stroke(canvas, pose, from, to, width, value, opacity),
    vary: () => random.between(0.93, 1.07),
  });
}
