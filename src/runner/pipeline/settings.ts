/** Resources, retries, environment and the like of a stage: filled in, checked, and shared between cells where equal. */
import type { Json, JsonObject } from '../json.ts';
import { compileValue, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import type { CellSettings, Environment, Origin, Point, Resources, Retries, RetryCause } from './model.ts';
import { childPointer } from './source-file.ts';
import { byteExample, durationExample, parseBytes, parseDuration } from './units.ts';
import { formatInText } from './template.ts';
import { canonical, isList, isMap } from './values.ts';

const settingKeys = ['resources', 'on', 'checkpoint', 'timeout', 'retries', 'env', 'always', 'cache', 'ignore', 'platform', 'on_change'] as const;
const allCauses: readonly RetryCause[] = ['exit', 'oom', 'preempted', 'timeout'];

/** Settings seen so far, so that cells and stages share equal ones. */
export type SettingsPool = Map<string, CellSettings>;

export interface CompiledSettings {
  readonly fill: (point: Point) => CellSettings;
  readonly origins: Readonly<Record<string, readonly Origin[]>>;
}

export function compileSettings(stage: JsonObject, pointer: string, scope: Scope, pool: SettingsPool, broken: ReadonlySet<string> = new Set()): CompiledSettings {
  const compiled = settingKeys.filter(key => stage[key] !== undefined && !broken.has(key)).flatMap(key => {
    const before = scope.problems.count;
    const value = compileValue(stage[key]!, childPointer(pointer, key), scope);
    // What a wrong template would have given is no mistake of its own.
    return scope.problems.count === before ? [[key, value] as const] : [];
  });
  const origins: Record<string, readonly Origin[]> = {};
  for (const [key, value] of compiled) origins[key] = value.origins;
  if (isMap(stage.env)) {
    for (const [group, part] of Object.entries(stage.env)) {
      const entries = isMap(part) ? Object.keys(part) : [];
      for (const name of entries) origins[`env.${name}`] = compileValue((part as JsonObject)[name]!, childPointer(`${pointer}/env/${group}`, name), scope).origins;
      if (isList(part)) for (const [index, name] of part.entries()) origins[`env.${String(name)}`] = [{ kind: 'file', file: scope.file, pointer: `${pointer}/env/${group}/${index}` }];
    }
  }
  const constant = compiled.every(([, value]) => value.constant);
  const fill = (point: Point): CellSettings => {
    const values: Record<string, Json> = {};
    for (const [key, value] of compiled) values[key] = value.fill(point);
    const id = canonical(values);
    const known = pool.get(id);
    if (known) return known;
    const before = scope.problems.count;
    const settings = new SettingsReader(values, pointer, scope).read();
    if (scope.problems.count === before) pool.set(id, settings);
    return settings;
  };
  if (!constant) return { fill, origins };
  const shared = fill({});
  return { fill: () => shared, origins };
}

/** What was probably meant: `6 hours` is 6h. */
function hintFor(expected: string, value: Json): string {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z])/.exec(String(value)) ?? [];
  if (expected === durationExample) return number !== undefined && 'dhms'.includes(unit!.toLowerCase()) ? `did you mean ${number}${unit!.toLowerCase()}?` : 'units are d, h, m, s and ms';
  if (expected === byteExample) return 'units are K, M, G and T, powers of 1024';
  return `write ${expected}, or a template that gives one`;
}

class SettingsReader {
  readonly #values: JsonObject;
  readonly #pointer: string;
  readonly #scope: Scope;

  constructor(values: JsonObject, pointer: string, scope: Scope) {
    this.#values = values;
    this.#pointer = pointer;
    this.#scope = scope;
  }

  read(): CellSettings {
    const v = this.#values;
    return {
      resources: this.#resources(isMap(v.resources) ? v.resources : {}),
      on: typeof v.on === 'string' && v.on !== '' ? v.on : 'local',
      checkpoint: this.#flag('checkpoint', false),
      timeoutMs: v.timeout === undefined ? null : this.#duration(v.timeout, ['timeout']),
      retries: this.#retries(v.retries),
      env: this.#environment(isMap(v.env) ? v.env : {}),
      always: this.#flag('always', false),
      shared: this.#flag('cache', true),
      ignore: isList(v.ignore) ? v.ignore.map(String) : [],
      platform: isList(v.platform) ? v.platform.map(String) : [],
      onChange: v.on_change === 'finish' ? 'finish' : 'stop',
    };
  }

  #wrong(path: readonly string[], expected: string, value: Json): void {
    const pointer = path.reduce(childPointer, this.#pointer);
    this.#scope.problems.add({
      code: 'wrong-type', message: `\`${path.at(-1)}\` must be ${expected}, not ${JSON.stringify(value)}`, at: placeOf(this.#scope, pointer), hint: hintFor(expected, value),
    });
  }

  #flag(key: string, otherwise: boolean): boolean {
    const value = this.#values[key];
    if (value === undefined) return otherwise;
    if (typeof value === 'boolean') return value;
    this.#wrong([key], 'true or false', value);
    return otherwise;
  }

  #number(value: Json, path: readonly string[], least: number, whole = false): number {
    if (typeof value === 'number' && value >= least && (!whole || Number.isInteger(value))) return value;
    this.#wrong(path, `a ${whole ? 'whole ' : ''}number${least > 0 ? ' above 0' : ' of at least 0'}`, value);
    return least;
  }

  #bytes(value: Json | undefined, path: readonly string[]): number | null {
    if (value === undefined) return null;
    const bytes = typeof value === 'string' || typeof value === 'number' ? parseBytes(value) : null;
    if (bytes === null) this.#wrong(path, byteExample, value);
    return bytes;
  }

  #duration(value: Json, path: readonly string[]): number {
    const duration = typeof value === 'string' || typeof value === 'number' ? parseDuration(value) : null;
    if (duration === null) this.#wrong(path, durationExample, value);
    return duration ?? 0;
  }

  #resources(map: JsonObject): Resources {
    const { cpu = 1, memory, gpu = 0, gpu_memory: gpuMemory, ...own } = map;
    const named: Record<string, number> = {};
    for (const [name, value] of Object.entries(own)) named[name] = this.#number(value, ['resources', name], 0);
    const cores = this.#number(cpu, ['resources', 'cpu'], 0);
    if (cores === 0) this.#wrong(['resources', 'cpu'], 'a number above 0', cpu);
    return {
      cpu: cores,
      memory: this.#bytes(memory, ['resources', 'memory']),
      gpu: gpu === 'prefer' ? 'prefer' : this.#gpus(gpu),
      gpuMemory: this.#bytes(gpuMemory, ['resources', 'gpu_memory']),
      named,
    };
  }

  /** One and a half GPUs are nothing that could be handed out. */
  #gpus(value: Json): number {
    const count = this.#number(value, ['resources', 'gpu'], 0);
    if (count > 1 && !Number.isInteger(count)) this.#wrong(['resources', 'gpu'], 'a whole number, or a share below 1', value);
    return count;
  }

  #retries(value: Json | undefined): Retries {
    if (value === undefined) return { times: 0, on: allCauses, backoffMs: 0, grow: {} };
    if (!isMap(value)) return { times: this.#number(value, ['retries'], 0, true), on: allCauses, backoffMs: 0, grow: {} };
    const grow: Record<string, number> = {};
    for (const [name, factor] of Object.entries(isMap(value.grow) ? value.grow : {})) grow[name] = this.#number(factor, ['retries', 'grow', name], 0);
    return {
      times: this.#number(value.times ?? 0, ['retries', 'times'], 0, true),
      on: isList(value.on) ? (value.on as readonly (RetryCause | number)[]) : allCauses,
      backoffMs: value.backoff === undefined ? 0 : this.#duration(value.backoff, ['retries', 'backoff']),
      grow,
    };
  }

  #environment(map: JsonObject): Environment {
    const set: Record<string, string> = {};
    for (const [name, value] of Object.entries(isMap(map.set) ? map.set : {})) {
      const text = formatInText(value);
      if (text === null) this.#wrong(['env', 'set', name], 'a text', value);
      set[name] = text ?? '';
    }
    return { pass: isList(map.pass) ? map.pass.map(String) : [], set, secret: isList(map.secret) ? map.secret.map(String) : [] };
  }
}

