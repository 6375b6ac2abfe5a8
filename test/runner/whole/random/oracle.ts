/** What each cell must hold, and what its result may depend on, worked out here from the project's data alone. */
import { bytesOf, stagesOf } from './model.ts';
import type { Project, Read, Stage } from './model.ts';

export interface ExpectedCell {
  readonly id: string;
  readonly output: string;
  /** Name and content of the artefact: cells with equal ones share it. */
  readonly artefact: string;
  /** All that the command can see. Equal identities are the same work. */
  readonly identity: string;
}

/** By cell id. */
export function expectedCells(project: Project): Map<string, ExpectedCell> {
  const stages = stagesOf(project);
  const cells = new Map<string, ExpectedCell>();
  const cellOf = (stage: number, point: number | null): ExpectedCell => {
    const producer = stages[stage]!;
    return cells.get(cellId(producer, producer.pointed ? point : null))!;
  };
  for (const stage of stages) {
    for (const point of stage.pointed ? project.params.sizes : [null]) {
      const seen = stage.reads.map(read => readBy(project, read, point, cellOf));
      const lines = `${headline(project, stage, point)}\n${seen.map(({ text }) => text).join('')}`;
      const output = stage.seed.counts ? `${lines.split('\n').length - 1}\n` : lines;
      const identity = JSON.stringify([headline(project, stage, point), stage.seed.counts, stage.folder, seen.map(({ identity: of }) => of)]);
      cells.set(cellId(stage, point), { id: cellId(stage, point), output, artefact: `${stage.folder ? 'folder' : 'o.txt'} ${output}`, identity });
    }
  }
  return cells;
}

export const cellId = (stage: Stage, point: number | null): string => (point === null ? stage.name : `${stage.name}[i=${point}]`);

/** The first line of a cell's output: its command's own words. */
function headline(project: Project, { seed }: Stage, point: number | null): string {
  const param = seed.param === null ? '' : ` ${seed.param}=${seed.param === 'x' ? (project.set ?? project.params.x) : project.params.y}`;
  return `salt ${seed.salt}${param}${point === null ? '' : ` i=${point}`}`;
}

function readBy(
  project: Project, read: Read, point: number | null, cellOf: (stage: number, point: number | null) => ExpectedCell,
): { readonly text: string; readonly identity: unknown } {
  switch (read.kind) {
    case 'file':
      return { text: bytesOf(read.path, project.files[read.path]!), identity: ['file', read.path, project.files[read.path]] };
    case 'folder':
    case 'glob': {
      const all = Object.keys(project.files).filter(path => path.startsWith('data/folder/')).sort();
      const paths = read.kind === 'folder' ? all : all.filter(path => path.endsWith('.txt'));
      return { text: paths.map(path => bytesOf(path, project.files[path]!)).join(''), identity: [read.kind, paths.map(path => [path, project.files[path]])] };
    }
    case 'output': {
      const cell = cellOf(read.stage, point);
      return { text: cell.output, identity: ['artefact', cell.artefact] };
    }
    case 'pick': {
      const cell = cellOf(read.stage, 1);
      return { text: cell.output, identity: ['artefact', cell.artefact] };
    }
    case 'gather': {
      const gathered = project.params.sizes.map(size => cellOf(read.stage, size));
      return {
        text: gathered.map(({ output }) => output).join(''),
        identity: ['gather', project.params.sizes.map((size, index) => [size, gathered[index]!.artefact])],
      };
    }
  }
}
