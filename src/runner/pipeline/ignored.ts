import type { Problems } from './problems.ts';
import type { StageState } from './stage-state.ts';
import { suggestion } from './suggest.ts';
import { isMap } from './values.ts';

/** `ignore:` may only name parts that there are: a typo would leave the part in the key without a word. */
export function checkIgnored(stages: Iterable<StageState>, problems: Problems): void {
  for (const stage of stages) {
    const ignore = stage.yaml?.ignore;
    if (!ignore) continue;
    const parts = partsOf(stage);
    for (const [index, part] of ignore.entries()) {
      if (parts.some(known => known === part || part.startsWith(`${known}.`))) continue;
      problems.add({
        code: 'unknown-part', message: `stage \`${stage.shortName}\` has no part \`${part}\` to ignore`, at: { kind: 'file', file: stage.file, pointer: `${stage.pointer}/ignore/${index}` },
        hint: suggestion(part, parts, 'parts are'),
      });
    }
  }
}

function partsOf(stage: StageState): string[] {
  const { raw } = stage;
  const named = (key: string, value: unknown): string[] => (value !== null && typeof value === 'object' ? Object.keys(value).map(name => `${key}.${name}`) : []);
  const env = isMap(raw.env) ? raw.env : {};
  const schema = stage.module?.info.params.properties;
  return [...new Set([
    ...named('with', raw.with), ...named('with', schema), ...named('in', raw.in),
    ...named('env', env.set), ...(Array.isArray(env.pass) ? env.pass.map(name => `env.${String(name)}`) : []),
    ...(raw.interpreter === undefined ? [] : ['interpreter']),
  ])];
}
