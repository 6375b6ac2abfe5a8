/** `report:` checked against the stages there are. */
import { requireStage } from './lookup.ts';
import type { StageTable } from './lookup.ts';
import type { ReportItem } from './model.ts';
import type { LoadedFile, Namespace } from './namespace.ts';
import type { Place, Problems } from './problems.ts';
import { parseReference } from './reference.ts';
import { childPointer } from './source-file.ts';
import { suggestion } from './suggest.ts';

/** The report of the pipeline that was asked for and its parts; if it has none, those of the pipelines it includes. */
export function readReport(namespaces: readonly Namespace[], stages: StageTable, problems: Problems): ReportItem[] {
  const reports = namespaces.map(namespace => namespace.files.flatMap(loaded => fileReport(loaded, namespace, stages, problems)));
  return reports[0] && reports[0].length > 0 ? reports[0] : reports.flat();
}

function fileReport(loaded: LoadedFile, namespace: Namespace, stages: StageTable, problems: Problems): ReportItem[] {
  const from = { namespace };
  return (loaded.header.report ?? []).flatMap((item, index): ReportItem[] => {
    const pointer = childPointer('/report', index);
    const place = (key: string): Place => ({ kind: 'file', file: loaded.file, pointer: `${pointer}/${key}` });
    if ('text' in item) return [{ kind: 'text', text: item.text }];
    if ('table' in item) {
      const stage = requireStage(item.table, from, stages, place('table'), problems);
      if (!stage || stage.inactive !== null) return [];
      const axes = stage.expanded?.matrix.axes;
      if (item.rows !== undefined && axes && !axes.includes(item.rows)) {
        problems.add({ code: 'unknown-axis', message: `stage \`${item.table}\` has no axis \`${item.rows}\``, at: place('rows'), hint: suggestion(item.rows, axes, 'axes are') ?? 'it has no matrix' });
      }
      return [{ kind: 'table', stage: stage.name, rows: item.rows ?? null, columns: item.columns ?? null, title: item.title ?? null }];
    }
    const reference = parseReference(item.figure);
    if (typeof reference === 'string' || reference.selection) {
      problems.add({ code: 'bad-reference', message: typeof reference === 'string' ? reference : 'a figure names an output of a stage without a matrix', at: place('figure'), hint: 'write stage.output' });
      return [];
    }
    const stage = requireStage(reference.stage, from, stages, place('figure'), problems);
    if (!stage || stage.inactive !== null) return [];
    if (stage.outputs && !Object.hasOwn(stage.outputs, reference.output)) {
      problems.add({ code: 'unknown-output', message: `stage \`${reference.stage}\` has no output \`${reference.output}\``, at: place('figure'), hint: suggestion(reference.output, Object.keys(stage.outputs), 'outputs are') });
      return [];
    }
    return [{ kind: 'figure', stage: stage.name, output: reference.output, title: item.title ?? null }];
  });
}
