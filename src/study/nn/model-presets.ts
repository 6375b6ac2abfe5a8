/** Named sizes: CLIP's own, and the small ones of the study. */
import type { ModelInput } from './model-config.ts';
import type { ResNetShape } from './resnet.ts';

export type Row = readonly [imageWidth: number, textWidth: number, layers: number, headWidth: number, input: ModelInput];
const row = (
  widths: readonly [number, number],
  layers: number,
  headWidth: number,
  [patch, resolution, context, vocabulary]: readonly [number, number, number, number],
): Row => [widths[0], widths[1], layers, headWidth, { resolution, patch, context, vocabulary }];

/** Presets: sizes together with what goes in, from mu-sized towers to CLIP's own ViT-B/32. */
export const presets: Readonly<Record<string, Row>> = {
  n0: row([32, 32], 2, 32, [16, 64, 32, 2048]),
  n1: row([48, 48], 2, 32, [16, 64, 32, 2048]),
  n2: row([64, 64], 3, 32, [8, 64, 64, 4096]),
  n3: row([96, 96], 4, 32, [8, 64, 64, 4096]),
  n4: row([128, 128], 4, 32, [8, 64, 77, 8192]),
  n5: row([192, 192], 6, 32, [8, 96, 77, 8192]),
  n6: row([256, 256], 6, 32, [8, 96, 77, 8192]),
  'Ti/16': row([192, 192], 12, 64, [16, 224, 77, 49408]),
  n8: row([320, 320], 8, 64, [16, 224, 77, 16384]),
  'S/32': row([384, 384], 12, 64, [32, 224, 77, 49408]),
  'S/16': row([384, 384], 12, 64, [16, 224, 77, 49408]),
  'M/32': row([512, 512], 12, 64, [32, 224, 77, 49408]),
  'M/16': row([512, 512], 12, 64, [16, 224, 77, 49408]),
  'B/32': row([768, 512], 12, 64, [32, 224, 77, 49408]),
  'B/16': row([768, 512], 12, 64, [16, 224, 77, 49408]),
};

export const aliases: Readonly<Record<string, string>> = { n7: 'Ti/16' };

/** CLIP's ResNets: the image tower, and the text tower's width and input; text towers have 12 layers. */
export const resnets: Readonly<Record<string, { readonly shape: ResNetShape; readonly text: number; readonly embedding: number; readonly input: ModelInput }>> = {
  RN50: { shape: { width: 64, blocks: [3, 4, 6, 3] }, text: 512, embedding: 1024, input: { resolution: 224, patch: 32, context: 77, vocabulary: 49408 } },
  RN50x4: { shape: { width: 80, blocks: [4, 6, 10, 6] }, text: 640, embedding: 640, input: { resolution: 288, patch: 32, context: 77, vocabulary: 49408 } },
};

export const presetNames: readonly string[] = [...Object.keys(presets), ...Object.keys(resnets)];
