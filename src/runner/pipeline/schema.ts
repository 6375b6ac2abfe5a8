/**
 * The shape of a pipeline file. One schema validates and, through `json-schema.ts`, completes in editors. What a shape
 * cannot say (names, references, kinds) is checked while the pipeline is expanded.
 */
import { z } from 'zod';

export const stageNamePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;
export const namePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;
export const axisNamePattern = /^[A-Za-z][A-Za-z0-9_]*$/;
const templatePattern = /\$\{[^}]*\}/;

/** A text that holds a template is accepted wherever another type is wanted; its value is checked when it is filled in. */
const template = z.string().regex(templatePattern).describe('A template such as ${params.size} or ${matrix.seed}.');

function templated<T extends z.ZodType>(type: T): z.ZodUnion<readonly [T, typeof template]> {
  return z.union([type, template]);
}

const anything = z.unknown();
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const nameList = z.array(z.string());
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);
const amount = templated(z.number());
const count = templated(z.int().min(1));
const flag = templated(z.boolean());
const sizeText = z.union([z.number().min(0), z.string()]);
const span = templated(z.tuple([amount, amount]));

const rangeAxis = z.strictObject({
  from: amount.describe('First value.'),
  to: amount.describe('Last value; both ends count.'),
  step: amount.optional().describe('Distance of the values; 1 unless said.'),
});
const logAxis = z.strictObject({ log: span.describe('First and last value; the values between are spaced evenly in their logarithm.'), count: count.describe('Number of values.') });
const linearAxis = z.strictObject({ linear: span.describe('First and last value, evenly spaced between.'), count: count.describe('Number of values.') });

export const axisSchema = z.union([z.array(anything), rangeAxis, logAxis, linearAxis, template]);

export const halvingSchema = z.strictObject({
  metric: z.string().describe('The metric by which cells are compared: its last value.'),
  mode: z.enum(['min', 'max']).describe('Whether the least or the greatest values survive.'),
  metrics: z.string().optional().describe('The output of kind metrics that holds it; need not be said if there is one only.'),
  param: z.string().describe('The param in `with` that gets the value of the rung.'),
  rungs: templated(z.array(anything)).describe('Values of the param, one a rung, for example numbers of steps.'),
  keep: z.union([amount, z.array(amount)]).describe('Share (below 1) or number of the cells that go on after each rung; a list gives the number for each.'),
  resume: z.record(z.string(), z.string()).optional().describe('Input → output: what a later rung takes over from the rung before.'),
}).describe('Stops hopeless cells early: successive halving over rungs.');

export const matrixSchema = z.strictObject({
  axes: z.record(z.string().regex(axisNamePattern), axisSchema).optional().describe('Name → values: a list, {from, to, step}, {log: [a, b], count} or {linear: [a, b], count}.'),
  zip: z.record(z.string().regex(axisNamePattern), templated(z.array(anything))).optional().describe('Columns of equal length that move together.'),
  exclude: templated(z.array(templated(z.record(z.string(), anything)))).optional().describe('Points, or parts of points, to leave out.'),
  include: templated(z.array(templated(z.record(z.string(), anything)))).optional().describe('Whole points to add.'),
  sample: z.strictObject({
    count: count.describe('How many points to draw.'),
    seed: templated(z.int()).optional().describe('Seed of the draw; 0 unless said.'),
  }).optional().describe('Draws points from the product, without replacement.'),
  halving: halvingSchema.optional(),
}).describe('One cell for each point of the product of the axes.');

const resources = z.object({
  cpu: amount.optional().describe('Processor cores; 1 unless said.'),
  memory: sizeText.optional().describe('Memory, such as 20G.'),
  gpu: z.union([z.number().min(0), z.literal('prefer'), template]).optional().describe('GPUs: a number, a share of one, or `prefer`: one if there is one.'),
  gpu_memory: sizeText.optional().describe('Memory of each GPU, such as 20G.'),
}).catchall(amount).describe('What a cell takes while it runs; own names are allowed and are counted against pipe.hosts.yaml.');

const retries = z.union([templated(z.int().min(0)), z.strictObject({
  times: templated(z.int().min(0)).describe('How often a failed attempt is repeated.'),
  on: z.array(z.union([z.enum(['exit', 'oom', 'preempted', 'timeout']), z.int().min(1).max(255)])).optional().describe('Causes or exit codes that are worth another attempt; any cause unless said.'),
  backoff: sizeText.optional().describe('Pause before another attempt, doubled each time, such as 30s.'),
  grow: z.record(z.string(), amount).optional().describe('Resource → factor by which each attempt asks for more.'),
})]).describe('Repeats failed attempts.');

const env = z.strictObject({
  pass: z.array(variable).optional().describe('Variables passed on and part of the key.'),
  set: z.record(variable, scalar).optional().describe('Variables set, part of the key.'),
  secret: z.array(variable).optional().describe('Variables passed on, never stored, never part of the key, blanked in logs.'),
}).describe('Environment variables beyond PATH, HOME, TMPDIR, USER, TERM and SSH_AUTH_SOCK.');

const output = z.union([z.string(), z.strictObject({
  path: z.string().describe('Name in the run folder.'),
  kind: z.enum(['file', 'folder', 'metrics']).optional().describe('What it is; a metrics output is a JSON Lines file of {metric, value, step?}.'),
  temp: z.boolean().optional().describe('Dropped once its last reader is done.'),
})]);

export const stageSchema = z.strictObject({
  summary: z.string().optional().describe('One line about the stage.'),
  uses: z.string().optional().describe('A typed stage: stages/NAME.ts of the project, or one that is shipped.'),
  run: z.union([z.string(), z.array(scalar)]).optional().describe('A command: shell text, or a list of arguments that no shell sees.'),
  in: z.record(z.string().regex(namePattern), z.union([z.string(), z.array(z.string())])).optional().describe('Input → STAGE.OUTPUT, STAGE[axis=value].OUTPUT, STAGE[*].OUTPUT, a path that begins with ./ ../ or /, or a list of which the first active one counts.'),
  with: z.record(z.string(), anything).optional().describe('Params of the stage.'),
  out: z.record(z.string().regex(namePattern), output).optional().describe('Output → its name in the run folder; for `run:` stages.'),
  matrix: matrixSchema.optional(),
  each: z.string().optional().describe('A stage whose points are taken over: one cell for each of its cells.'),
  needs: nameList.optional().describe('Stages that only have to come first.'),
  when: z.union([z.string(), z.boolean()]).optional().describe('A condition on params, such as ${params.source} == roco.'),
  partial: z.boolean().optional().describe('A gather also lists missing and failed cells, with path null.'),
  resources: resources.optional(),
  on: z.string().optional().describe('local, or a host or cluster of pipe.hosts.yaml.'),
  checkpoint: flag.optional().describe('Gives the stage a folder that survives attempts with the same key.'),
  timeout: sizeText.optional().describe('Time allowed for an attempt, such as 6h.'),
  retries: retries.optional(),
  env: env.optional(),
  interpreter: z.string().optional().describe('A program whose version belongs in the key, such as python3.'),
  always: flag.optional().describe('Never reused.'),
  cache: flag.optional().describe('false: not put into, nor taken from, a shared cache.'),
  temp: z.union([z.boolean(), nameList]).optional().describe('Outputs that are dropped once their last reader is done: all, or those named.'),
  ignore: nameList.optional().describe('Parts left out of the key, such as with.log_every.'),
  platform: z.array(z.enum(['backend', 'threads', 'os'])).optional().describe('Facts of the machine that belong in the key.'),
  publish: z.record(z.string(), z.string()).optional().describe('Output → path in the project that gets a copy.'),
  on_change: z.enum(['stop', 'finish']).optional().describe('With --watch: what a running cell does when its key changes; `stop` unless said.'),
}).describe('One step: a typed stage (`uses`) or a command (`run`).');

const reportItem = z.union([
  z.strictObject({
    table: z.string().describe('A stage: its cells are the rows.'),
    rows: z.string().optional().describe('The axis that names the rows.'),
    columns: nameList.optional().describe('Params, axes and metrics to show.'),
    title: z.string().optional(),
  }),
  z.strictObject({ figure: z.string().describe('STAGE.OUTPUT: an SVG or image.'), title: z.string().optional() }),
  z.strictObject({ text: z.string().describe('A paragraph.') }),
]);

export const paramsSchema = z.record(z.string().regex(namePattern), anything);

export const pipelineFileSchema = z.strictObject({
  pipeline: z.string().regex(namePattern).optional().describe('Name of the pipeline; a file without one is a part, to be included.'),
  title: z.string().optional().describe('What the pipeline is for.'),
  include: nameList.optional().describe('Pipelines and parts, relative to this file.'),
  params: paramsSchema.optional().describe('Params and their defaults.'),
  profiles: z.record(z.string().regex(namePattern), z.union([z.record(z.string(), anything), z.null()])).optional().describe('Name → params that --profile NAME replaces.'),
  stages: z.record(z.string().regex(stageNamePattern), stageSchema).optional().describe('Name → stage.'),
  report: z.array(reportItem).optional().describe('What the page shows, in order.'),
}).describe('A pipeline of the program pipe.');

export type PipelineFile = z.output<typeof pipelineFileSchema>;
export type StageYaml = z.output<typeof stageSchema>;
export type MatrixYaml = z.output<typeof matrixSchema>;
export type HalvingYaml = z.output<typeof halvingSchema>;
export type ReportItemYaml = z.output<typeof reportItem>;
