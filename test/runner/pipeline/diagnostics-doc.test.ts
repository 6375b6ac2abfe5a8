/** docs/diagnostics.md: each file in it is read for real, and the message below it is what was said. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { InvalidPipeline } from '../../../src/runner/diagnostic.ts';
import type { Diagnostic } from '../../../src/runner/diagnostic.ts';
import { loadPipeline } from '../../../src/runner/pipeline/load.ts';
import { renderDiagnostic } from '../../../src/runner/pipeline/render-diagnostic.ts';
import { readDocument, differenceFrom } from '../../rig/document.ts';
import { shippedStages } from '../../rig/shipped-stages.ts';
import { project } from './rig/files.ts';

const path = 'docs/diagnostics.md';
const section = /^## \d+\. (.+)\n\n```yaml\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```$/gm;

test('docs/diagnostics.md shows what is said of each of its files', async () => {
  const document = readDocument(path);
  const folder = project({ 'package.json': '{}' });
  const said = new Map<string, readonly Diagnostic[]>();
  const texts = new Map<string, string>();
  for (const [, title, yaml] of document.matchAll(section)) {
    writeFileSync(join(folder, 'pipe.yaml'), yaml!);
    const found = await mistakesIn(folder);
    said.set(title!, found);
    texts.set(title!, `${found.map(mistake => renderDiagnostic(mistake, { color: false, cwd: folder })).join('\n\n')}\n`);
  }
  expect(said.size).toBeGreaterThanOrEqual(20);
  for (const [title, found] of said) {
    expect(found, title).not.toEqual([]);
    for (const mistake of found) expect(mistake, title).toMatchObject({ code: expect.stringMatching(/^[a-z-]+$/) as string, hint: expect.stringMatching(/\S/) as string, position: { file: join(folder, 'pipe.yaml'), line: expect.any(Number) as number } });
  }
  const shown = document.replace(section, (whole, title: string, yaml: string) => `${whole.slice(0, whole.indexOf('```yaml'))}\`\`\`yaml\n${yaml}\`\`\`\n\n\`\`\`text\n${texts.get(title)!}\`\`\``);
  expect(differenceFrom(path, shown)).toBeNull();
  // The last one: every mistake of a file that has many, and nothing that only follows from another.
  expect([...said.values()].at(-1)!.map(({ code, position }) => `${position?.line} ${code}`)).toEqual([
    '8 unknown-key', '10 unknown-param', '11 unknown-stage', '12 unknown-param', '16 unknown-output', '17 unknown-stage', '19 wrong-type',
  ]);
});

async function mistakesIn(folder: string): Promise<readonly Diagnostic[]> {
  const catalogue = shippedStages(folder);
  try {
    await loadPipeline({ file: join(folder, 'pipe.yaml'), profile: null, set: [], catalogue });
    return [];
  } catch (error) {
    if (error instanceof InvalidPipeline) return error.diagnostics;
    throw error;
  }
}
