/** `pipe run data.yaml` in a fresh project, offline, and the lab profile on the loopback mirror. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { makeProject } from '../rig/pipe.ts';
import { startRocoMirror } from '../rig/roco-mirror.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';

const pipeline = readFileSync(fileURLToPath(new URL('../../pipelines/data.yaml', import.meta.url)), 'utf8');
const rows = (text: string): Record<string, string | number | null>[] => JSON.parse(text) as Record<string, string | number | null>[];

it('the demo draws, exports, reads back, finds what leaks, filters, audits, and writes page and report', () => {
  const project = makeProject({ 'pipelines/data.yaml': pipeline });
  try {
    for (const profile of ['demo', 'lab', 'full']) expect(project.pipe(['validate', 'data.yaml', '--profile', profile]).stderr).toBe('');
    const few = ['--set', 'phantom.count=200', '--set', 'labels=[ct,ultrasound]'];
    const run = project.pipe(['run', 'data.yaml', ...few]);
    expect(run.code, run.stderr).toBe(0);
    const table = (stage: string): ReturnType<typeof rows> => rows(project.pipe(['table', 'data.yaml', stage, ...few, '--format', 'json']).stdout);
    const [leaks] = table('leaks');
    // All sixty exported ones leak; two phantoms may be alike beside.
    expect(leaks).toMatchObject({ training: 200, tests: 60 });
    expect(Number(leaks?.['leaks_folder'])).toBeGreaterThanOrEqual(60);
    const filters = new Map(table('filter').map(row => [row['set'], row]));
    expect(filters.get('random')?.['kept']).toBe(filters.get('permissive')?.['kept']);
    expect([filters.get('permissive')?.['kept_ultrasound'], filters.get('all')?.['dropped']]).toEqual([0, leaks?.['leaks']]);
    expect(table('audit').map(row => row['agreeing_share'])).toEqual([1, 1]);
    expect(project.read('results/benchmarks.md')).toContain('| VQA-RAD | 315 images');
    const page = project.read('cache/report/data.html');
    expect(page.match(/data:image\/png;base64/g)?.length).toBe(2);
    expect(project.pipe(['run', 'data.yaml', ...few]).stderr).toMatch(/nothing to run/);
  } finally {
    project.remove();
  }
});

it('the pipelines of the study train on what a filter leaves, with the same splits', () => {
  const folder = fileURLToPath(new URL('../../pipelines/', import.meta.url));
  const project = makeProject(Object.fromEntries(['scaling.yaml', ...readdirSync(`${folder}parts`).map(name => `parts/${name}`)].map(name => [`pipelines/${name}`, readFileSync(`${folder}${name}`, 'utf8')])));
  try {
    const counts = (set: string): Record<string, string | number | null> => {
      const sets = ['--set', 'phantom.count=150', '--set', `filter.set=${set}`];
      const run = project.pipe(['run', 'scaling.yaml', 'preprocess', ...sets]);
      expect(run.code, run.stderr).toBe(0);
      return rows(project.pipe(['table', 'scaling.yaml', 'preprocess', ...sets, '--format', 'json']).stdout)[0] ?? {};
    };
    const [all, permissive, random] = [counts('all'), counts('permissive'), counts('random')];
    expect(Number(all['modality_ultrasound'])).toBeGreaterThan(5);
    expect(permissive['modality_ultrasound']).toBeUndefined();
    expect(permissive['images']).toBe(Number(all['images']) - Number(all['modality_ultrasound']));
    expect([random['images'], random['train'], random['test']]).toEqual([permissive['images'], permissive['train'], permissive['test']]);
  } finally {
    project.remove();
  }
});

it.skipIf(!hasShared)('lab reads figures from the mirror, VQA-RAD and SLAKE from local copies (needs the shared data)', async () => {
  const mirror = await startRocoMirror();
  const project = makeProject({ 'pipelines/data.yaml': pipeline });
  try {
    const sets = [`roco.pmcUrl=${mirror.pmcUrl}`, `roco.textUrl=${mirror.textUrl}`, 'roco.requestsPerSecond=0', 'roco.limit=150', `copies.vqaRad=${sharedPath('vqa-rad')}`, `copies.slake=${sharedPath('slake')}`].flatMap(set => ['--set', set]);
    const run = await project.start(['run', 'data.yaml', '--profile', 'lab', ...sets]).finished;
    expect(run.code, run.stderr).toBe(0);
    const table = (stage: string): ReturnType<typeof rows> => rows(project.pipe(['table', 'data.yaml', stage, '--profile', 'lab', ...sets, '--format', 'json']).stdout);
    expect(table('card')[0]).toMatchObject({ pairs: 150 });
    expect(table('leaks')[0]).toMatchObject({ training: 150, tests: 314, leaks: 0 });
    expect(table('filter')).toHaveLength(4);
    expect(project.read('results/benchmarks.md')).toContain('at hand 314 images, 3,515 questions');
  } finally {
    await mirror.stop();
    project.remove();
  }
});
