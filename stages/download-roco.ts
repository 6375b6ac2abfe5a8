import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

const address = z.url({ protocol: /^https?$/, error: 'must be an http or https address' });
const withoutSlash = (url: string): string => url.replace(/\/+$/, '');

export const stage = defineStage({
  summary: 'Download ROCO figures with captions and licences from the PMC Cloud Service.',
  params: z.strictObject({
    /** The bucket of the PMC Cloud Service, or a mirror of it. */
    pmcUrl: address.default('https://pmc-oa-opendata.s3.amazonaws.com'),
    /** The root of the ROCO repository's text files, or a mirror of it. */
    textUrl: address.default('https://raw.githubusercontent.com/razorx89/roco-dataset/master'),
    splits: z.array(z.enum(['train', 'validation', 'test'])).min(1).default(['train', 'validation', 'test']),
    kind: z.enum(['radiology', 'non-radiology']).default('radiology'),
    /** At most so many figures, the first ones of the lists that are to be had. */
    limit: z.int().positive().nullable().default(null),
    /** Licences to keep, such as `CC BY` and `CC0`; an empty list keeps all. */
    licences: z.array(z.string().min(1)).default([]),
    /** 0 means no limit, which is for a mirror of your own. */
    requestsPerSecond: z.number().nonnegative().default(5),
    concurrency: z.int().min(1).max(256).default(8),
    retries: z.int().min(0).max(20).default(6),
    timeoutSeconds: z.number().positive().default(30),
    /** The share of figures that may fail (absent ones do not count) before the stage does. */
    failuresAllowed: z.number().min(0).max(1).default(0.005),
    /** A folder that keeps fetched figures by content over runs with other params, relative to the project; else the checkpoint. */
    store: z.string().min(1).nullable().default(null),
  }),
  inputs: {},
  outputs: { pairs: 'folder' },
  async run({ params, outputs, report, signal, checkpoint, projectRoot }) {
    const { downloadRoco } = await import('../src/study/data/roco.ts');
    const { mkdtemp, rm } = await import('node:fs/promises');
    const { store } = params;
    const options = { ...params, pmcUrl: withoutSlash(params.pmcUrl), textUrl: withoutSlash(params.textUrl) };
    const kept = store === null ? checkpoint : isAbsolute(store) ? store : join(projectRoot, store);
    const storeFolder = kept ?? (await mkdtemp(join(outputs.pairs, '..', 'figures-')));
    try {
      const summary = await downloadRoco(options, outputs.pairs, storeFolder, {
        signal,
        onNote: text => report.note(text),
        onProgress: ({ done, total, rate }) => report.progress(total === 0 ? 1 : done / total, { step: done, total, rate, unit: 'figures' }),
      });
      report.metric('figures', summary.pairs);
      report.metric('figures_reused', summary.reused);
      for (const [kind, count] of Object.entries(summary.leftOut)) report.metric(`left_out_${kind}`, count);
      report.metric('requests', summary.http.requests);
      report.metric('requests_retried', summary.http.retried);
      report.metric('bytes', summary.http.bytes);
      const without = Object.entries(summary.leftOut).map(([kind, count]) => `${count} ${kind}`).join(', ');
      report.note(`${summary.pairs} figures${without === '' ? '' : `; left out, each with its reason in report.json: ${without}`}`);
      if (summary.pairs === 0) throw new Error(`no figure could be had: ${without || 'the lists are empty'}`);
    } catch (error) {
      throw withAdvice(error, params, kept !== null);
    } finally {
      if (kept === null) await rm(storeFolder, { recursive: true, force: true });
    }
  },
});

/** Says, where a host is the trouble, which param names it and that nothing already fetched is lost. */
function withAdvice(error: unknown, params: { readonly pmcUrl: string; readonly textUrl: string }, kept: boolean): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return new Error(`the disk is full (${error.message})${kept ? '; what was fetched is kept, run it again when there is room' : ''}`, { cause: error });
  }
  if (!(error instanceof Error) || (error.name !== 'HostDown' && error.name !== 'HttpFailure')) return error;
  const param = error.message.includes(new URL(params.pmcUrl).host) && !error.message.includes('/data/') ? 'pmcUrl' : 'textUrl';
  const rest = kept ? ' What was fetched is kept; run it again when the host answers.' : '';
  return new Error(`${error.message}. Is this machine online, and is ${param} (${params[param]}) right?${rest}`, { cause: error });
}
