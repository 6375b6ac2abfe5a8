import { stringify } from 'yaml';
import { stagesOf } from './model.ts';
import type { Project, Read, Stage } from './model.ts';

/** The pipeline file of a project. */
export function pipelineText(project: Project): string {
  const stages = stagesOf(project);
  const order = <T>(entries: readonly (readonly [string, T])[]): Record<string, T> => Object.fromEntries(project.reversed ? [...entries].reverse() : entries);
  const body = order<unknown>([
    ['pipeline', 'random'],
    ['params', order(Object.entries(project.params))],
    ['stages', order(stages.map(stage => [stage.name, order(Object.entries(stageBody(stage, stages)))]))],
  ]);
  return `# comment ${project.comment}\n${stringify(body)}`;
}

function stageBody(stage: Stage, stages: readonly Stage[]): Record<string, unknown> {
  const inputs = stage.reads.map((read, index) => [`in${index}`, reference(read, stages)]);
  return {
    run: command(stage, stages),
    ...(stage.each !== null ? { each: stages[stage.each]!.name } : stage.pointed ? { matrix: { axes: { i: '${params.sizes}' } } } : {}),
    in: Object.fromEntries(inputs),
    out: { o: stage.folder ? { path: 'folder', kind: 'folder' } : 'o.txt' },
    ...(stage.needs === null ? {} : { needs: [stages[stage.needs]!.name] }),
  };
}

function reference(read: Read, stages: readonly Stage[]): string {
  switch (read.kind) {
    case 'file':
      return `./${read.path}`;
    case 'folder':
      return './data/folder';
    case 'glob':
      return './data/folder/*.txt';
    case 'output':
      return `${stages[read.stage]!.name}.o`;
    case 'gather':
      return `${stages[read.stage]!.name}[*].o`;
    case 'pick':
      return `${stages[read.stage]!.name}[i=1].o`;
  }
}

/** Writes its words, then all it reads: the output tells everything that went into it. */
function command(stage: Stage, stages: readonly Stage[]): string {
  const { seed } = stage;
  const param = seed.param === null ? '' : ` ${seed.param}=\${params.${seed.param}}`;
  const words = `echo salt ${seed.salt}${param}${stage.pointed ? ' i=${matrix.i}' : ''}`;
  const cats = stage.reads.map((read, index) => {
    const path = `\${in.in${index}}`;
    if (read.kind === 'folder') return `cat ${path}/*`;
    if (read.kind === 'output' && stages[read.stage]!.folder) return `cat ${path}/part.txt`;
    return `cat ${path}`;
  });
  const target = stage.folder ? '${out.o}/part.txt' : '${out.o}';
  const prepare = stage.folder ? 'mkdir -p ${out.o}; ' : '';
  return `${prepare}{ ${[words, ...cats].join('; ')}; } ${seed.counts ? "| grep -c '' " : ''}> ${target}`;
}
