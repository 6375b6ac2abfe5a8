/** A small experiment as tests of commands know it, and what `--json` prints. */
import { makeProject } from '../../../rig/pipe.ts';
import type { TestProject } from '../../../rig/pipe.ts';

const pipeline = `pipeline: small
title: A small experiment
params:
  rates: [0.1, 0.5]
  fail: "no"
profiles:
  wide: { rates: [0.1, 0.5, 0.9] }
stages:
  draw:
    run: sh \${in.script} > \${out.points}
    in: { script: ./draw.sh }
    out: { points: points.txt }
  fit:
    run: |
      echo "fitting at \${matrix.rate}"
      test \${params.fail} = no || { echo "cannot fit" >&2; exit 3; }
      echo '{"metric":"loss","value":2,"step":1}' >> "$PIPE_EVENTS"
      echo "{\\"metric\\":\\"loss\\",\\"value\\":\${matrix.rate},\\"step\\":2}" >> "$PIPE_EVENTS"
      cat \${in.points} > \${out.model}
    matrix: { axes: { rate: "\${params.rates}" } }
    in: { points: draw.points }
    out: { model: model.txt }
  law:
    run: |
      cat \${in.models} > \${out.law}
      echo '{"note":"the law holds"}' >> "$PIPE_EVENTS"
    in: { models: "fit[*].model" }
    out: { law: law.txt }
report:
  - { table: fit, columns: [loss] }
`;

export const smallProject = (): TestProject => makeProject({ 'pipelines/small.yaml': pipeline, 'draw.sh': 'echo 1 2 3\n' });

export const json = (text: string): unknown => JSON.parse(text);
export const lines = (text: string): { event: string; [key: string]: unknown }[] => text.trimEnd().split('\n').map(line => json(line) as { event: string });
