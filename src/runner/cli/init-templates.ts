/** Projects to start from: file name → content. */

export type TemplateName = 'empty' | 'shell' | 'python';

export interface Template {
  readonly summary: string;
  readonly files: Readonly<Record<string, string>>;
}

const emptyPipeline = `pipeline: main
title: What this experiment is to find out

params:
  name: world

stages:
  greet:
    run: echo hello \${params.name} > \${out.greeting}
    out: { greeting: greeting.txt }
`;

const shellPipeline = `pipeline: main
title: How many words each book of the list has

params:
  lines: [10, 100, 1000]              # change one and run again: only what depends on it runs

stages:
  draw:
    run: |
      i=0
      while [ "$i" -lt \${matrix.lines} ]; do echo "line $i of many"; i=$((i + 1)); done > \${out.text}
    matrix: { axes: { lines: "\${params.lines}" } }
    out: { text: text.txt }

  count:
    each: draw
    run: sh \${in.script} \${in.text} \${out.metrics}
    in: { text: draw.text, script: ./scripts/count.sh }
    out: { metrics: { path: metrics.jsonl, kind: metrics } }

  total:
    run: cat \${in.counts} > \${out.all}
    in: { counts: "count[*].metrics" }
    out: { all: all.jsonl }

report:
  - { table: count, columns: [words] }
`;

const countScript = `#!/bin/sh
# Counts words; metrics are JSON Lines of {"metric", "value"}.
set -e
words=$(wc -w < "$1")
echo "{\\"metric\\": \\"words\\", \\"value\\": $words}" > "$2"
echo "{\\"note\\": \\"$words words\\"}" >> "$PIPE_EVENTS"
`;

const pythonPipeline = `pipeline: main
title: A straight line through noisy points, at several learning rates

params:
  points: 200
  rates: [0.01, 0.1, 0.5]

stages:
  draw:
    run: python3 \${in.script} \${params.points} \${out.points}
    interpreter: python3              # its version is part of the key
    in: { script: ./scripts/draw.py }
    out: { points: points.csv }

  fit:
    run: python3 \${in.script} \${in.points} \${matrix.rate} \${out.metrics}
    interpreter: python3
    matrix: { axes: { rate: "\${params.rates}" } }
    in: { script: ./scripts/fit.py, points: draw.points }
    out: { metrics: { path: metrics.jsonl, kind: metrics } }

report:
  - { table: fit, columns: [loss, slope] }
`;

const drawScript = `"""Points on y = 2 x + 1 with noise, as CSV."""
import random
import sys

count, path = int(sys.argv[1]), sys.argv[2]
random.seed(1)
with open(path, "w") as file:
    for _ in range(count):
        x = random.random()
        file.write(f"{x},{2 * x + 1 + random.gauss(0, 0.1)}\\n")
`;

const fitScript = `"""Gradient descent on the mean squared error; reports its progress while it runs."""
import json
import os
import sys

path, rate, metrics = sys.argv[1], float(sys.argv[2]), sys.argv[3]
points = [tuple(map(float, line.split(","))) for line in open(path)]
slope = offset = 0.0
steps = 200
with open(os.environ["PIPE_EVENTS"], "a", buffering=1) as events:
    for step in range(1, steps + 1):
        errors = [slope * x + offset - y for x, y in points]
        loss = sum(e * e for e in errors) / len(errors)
        slope -= rate * 2 * sum(e * x for e, (x, _) in zip(errors, points)) / len(points)
        offset -= rate * 2 * sum(errors) / len(points)
        if step % 10 == 0:
            events.write(json.dumps({"metric": "loss", "value": loss, "step": step}) + "\\n")
            events.write(json.dumps({"progress": step / steps}) + "\\n")
with open(metrics, "w") as file:
    for name, value in [("loss", loss), ("slope", slope), ("offset", offset)]:
        file.write(json.dumps({"metric": name, "value": value}) + "\\n")
`;

export const templates: Readonly<Record<TemplateName, Template>> = {
  empty: { summary: 'one stage to change', files: { 'pipe.yaml': emptyPipeline } },
  shell: { summary: 'shell commands, a matrix and a gather', files: { 'pipe.yaml': shellPipeline, 'scripts/count.sh': countScript } },
  python: {
    summary: 'Python scripts that report metrics',
    files: { 'pipe.yaml': pythonPipeline, 'scripts/draw.py': drawScript, 'scripts/fit.py': fitScript },
  },
};
