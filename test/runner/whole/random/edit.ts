import fc from 'fast-check';
import type { Project } from './model.ts';

/** What may happen to a project or its cache between two runs. */
export type Edit =
  | { readonly kind: 'param'; readonly name: 'x' | 'y'; readonly value: number }
  | { readonly kind: 'sizes'; readonly value: readonly number[] }
  | { readonly kind: 'set'; readonly value: number | null }
  /** Other bytes of the same length; with `keepTime` its modification time is set back, too. */
  | { readonly kind: 'bytes'; readonly file: string; readonly version: number; readonly keepTime: boolean }
  | { readonly kind: 'touch'; readonly file: string }
  | { readonly kind: 'appear'; readonly file: string }
  | { readonly kind: 'vanish'; readonly file: string }
  | { readonly kind: 'rename'; readonly stage: number; readonly version: number }
  | { readonly kind: 'layout'; readonly comment: number; readonly reversed: boolean }
  | { readonly kind: 'command'; readonly stage: number; readonly salt: number }
  | { readonly kind: 'counts'; readonly stage: number }
  | { readonly kind: 'reads'; readonly stage: number; readonly read: number }
  | { readonly kind: 'lose-link'; readonly cell: number }
  | { readonly kind: 'lose-artefact'; readonly cell: number }
  | { readonly kind: 'damage'; readonly cell: number; readonly how: 'append' | 'truncate' | 'overwrite' };

const always = ['data/a.txt', 'data/b.txt', 'data/folder/f1.txt', 'data/folder/other.md'];
const optional = ['data/folder/f2.txt', 'data/folder/f3.txt'];
const number = fc.nat(30);

export const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('param' as const), name: fc.constantFrom('x' as const, 'y' as const), value: fc.nat(2) }),
  fc.record({ kind: fc.constant('sizes' as const), value: fc.constantFrom([1], [1, 2], [2, 1], [1, 3], [3, 1, 2]) }),
  fc.record({ kind: fc.constant('set' as const), value: fc.option(fc.nat(2)) }),
  fc.record({ kind: fc.constant('bytes' as const), file: fc.constantFrom(...always), version: fc.nat(2), keepTime: fc.boolean() }),
  fc.record({ kind: fc.constant('touch' as const), file: fc.constantFrom(...always) }),
  fc.record({ kind: fc.constantFrom('appear' as const, 'vanish' as const), file: fc.constantFrom(...optional) }),
  fc.record({ kind: fc.constant('rename' as const), stage: number, version: fc.nat(2) }),
  fc.record({ kind: fc.constant('layout' as const), comment: fc.nat(2), reversed: fc.boolean() }),
  fc.record({ kind: fc.constant('command' as const), stage: number, salt: fc.nat(2) }),
  fc.record({ kind: fc.constant('counts' as const), stage: number }),
  fc.record({ kind: fc.constant('reads' as const), stage: number, read: fc.nat(9) }),
  fc.record({ kind: fc.constantFrom('lose-link' as const, 'lose-artefact' as const), cell: number }),
  fc.record({ kind: fc.constant('damage' as const), cell: number, how: fc.constantFrom('append' as const, 'truncate' as const, 'overwrite' as const) }),
);

/** The project after an edit; edits of the cache leave it as it is. */
export function edited(project: Project, edit: Edit): Project {
  switch (edit.kind) {
    case 'param':
      return { ...project, params: { ...project.params, [edit.name]: edit.value } };
    case 'sizes':
      return { ...project, params: { ...project.params, sizes: edit.value } };
    case 'set':
      return { ...project, set: edit.value };
    case 'bytes':
      return { ...project, files: { ...project.files, [edit.file]: edit.version } };
    case 'appear':
      return { ...project, files: { ...project.files, [edit.file]: 0 } };
    case 'vanish': {
      const { [edit.file]: _, ...files } = project.files;
      return { ...project, files };
    }
    case 'rename':
      return withStage(project, edit.stage, { renamed: edit.version });
    case 'command':
      return withStage(project, edit.stage, { salt: edit.salt });
    case 'counts':
      return withStage(project, edit.stage, { counts: !stageAt(project, edit.stage).counts });
    case 'reads':
      return withStage(project, edit.stage, { reads: [edit.read, ...stageAt(project, edit.stage).reads.slice(1)] });
    case 'layout':
      return { ...project, comment: edit.comment, reversed: edit.reversed };
    case 'touch':
    case 'lose-link':
    case 'lose-artefact':
    case 'damage':
      return project;
  }
}

const stageAt = (project: Project, stage: number): Project['stages'][number] => project.stages[stage % project.stages.length]!;

function withStage(project: Project, stage: number, change: Partial<Project['stages'][number]>): Project {
  const at = stage % project.stages.length;
  return { ...project, stages: project.stages.map((seed, index) => (index === at ? { ...seed, ...change } : seed)) };
}
