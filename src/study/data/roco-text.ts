import type { HttpClient } from './http-client.ts';
import type { LeftOut } from './pairs.ts';
import type { Split } from './splits.ts';

/** Where the ROCO repository's text files are. */
export const rocoTextUrl = 'https://raw.githubusercontent.com/razorx89/roco-dataset/master';

/** One row of ROCO's lists: a caption, and which figure of which article it belongs to. */
export interface RocoRow {
  readonly id: string;
  readonly split: Split;
  readonly pmcid: string;
  readonly file: string;
  readonly caption: string;
  /** As ROCO's own list has it; null where it has none. */
  readonly licence: string | null;
  readonly concepts: readonly string[];
}

export interface RocoFigure {
  readonly pmcid: string;
  readonly file: string;
}

export interface Parsed<T> {
  readonly rows: ReadonlyMap<string, T>;
  readonly leftOut: readonly LeftOut[];
}

const idPattern = /^ROCO_\d+$/;

/** Splits a list into lines and reads each; what does not read, or repeats an id, is reported by id or line. */
function parseLines<T>(text: string, name: string, header: boolean, read: (line: string) => { id: string; value: T } | string): Parsed<T> {
  const rows = new Map<string, T>();
  const leftOut: LeftOut[] = [];
  text.split('\n').forEach((raw, index) => {
    const line = raw.replace(/\r$/, '');
    if (line === '' || (header && index === 0)) return;
    const where = `${name}:${index + 1}`;
    const parsed = read(line);
    if (typeof parsed === 'string') leftOut.push({ id: idPattern.exec(line.split(/[\t,]/)[0] ?? '')?.[0] ?? where, kind: 'text', reason: `${where}: ${parsed}` });
    else if (rows.has(parsed.id)) leftOut.push({ id: parsed.id, kind: 'text', reason: `${where}: the id is there twice; the first one counts` });
    else rows.set(parsed.id, parsed.value);
  });
  return { rows, leftOut };
}

/** `ROCO_00020<TAB> text`: the caption begins after the first tab. */
export function parseCaptions(text: string, name: string): Parsed<string> {
  return parseLines(text, name, false, line => {
    const tab = line.indexOf('\t');
    const id = line.slice(0, tab);
    if (tab < 0) return 'there is no tab between id and caption';
    if (!idPattern.test(id)) return `${JSON.stringify(id.slice(0, 40))} is no ROCO id`;
    const caption = line.slice(tab + 1).trim();
    if (caption === '') return 'the caption is empty';
    if (caption.includes('\ufffd')) return 'the caption is not valid UTF-8';
    return { id, value: caption };
  });
}

/** `ROCO_00020<TAB>wget … /PMC3970251.tar.gz …<TAB>figure.jpg`: the article and the file's name; the address itself is dead. */
export function parseLinks(text: string, name: string): Parsed<RocoFigure> {
  return parseLines(text, name, false, line => {
    const [id = '', command = '', file = ''] = line.split('\t');
    const pmcid = /\/(PMC\d+)\.tar\.gz\b/.exec(command)?.[1];
    if (!idPattern.test(id)) return `${JSON.stringify(id.slice(0, 40))} is no ROCO id`;
    if (pmcid === undefined) return 'there is no article archive in the second column';
    if (file === '') return 'there is no file name in the third column';
    return { id, value: { pmcid, file } };
  });
}

/** `ROCO_ID,PMC_ID,CC` with a header; `PMC_ID` is article, underscore, file name. */
export function parseLicences(text: string, name: string): Parsed<RocoFigure & { readonly licence: string }> {
  return parseLines(text, name, true, line => {
    const parts = /^([^,]*),(PMC\d+)_(.+),([^,]+)$/.exec(line);
    const [, id = '', pmcid = '', file = '', licence = ''] = parts ?? [];
    if (parts === null || !idPattern.test(id)) return 'not of the form ROCO_00020,PMC3970251_figure.jpg,CC BY';
    return { id, value: { pmcid, file, licence: licence.trim() } };
  });
}

/** `ROCO_00020<TAB><TAB>C4300092<TAB>…`; lines without concepts are usual. */
export function parseConcepts(text: string, name: string): Parsed<readonly string[]> {
  return parseLines(text, name, false, line => {
    const [id = '', ...rest] = line.split('\t');
    if (!idPattern.test(id)) return `${JSON.stringify(id.slice(0, 40))} is no ROCO id`;
    return { id, value: rest.filter(concept => /^C\d{7}$/.test(concept)) };
  });
}

export interface RocoLists {
  readonly rows: readonly RocoRow[];
  readonly leftOut: readonly LeftOut[];
}

async function fetchText(client: HttpClient, url: string): Promise<string | null> {
  const { status, body } = await client.get(url, bytes => (/^\s*<(!doctype|html)/i.test(bytes.subarray(0, 64).toString('latin1')) ? 'expected a list, got a web page' : undefined));
  return status === 200 ? body.toString('utf8') : null;
}

/**
 * Reads one split's lists. The article and figure come from `dlinks.txt`, else from `licences.txt`; captions may be there in
 * part only (`captions.partial.txt`). Every id of any list is in `rows` or in `leftOut`.
 *
 * @throws HttpFailure, HostDown; Error when a list that is needed is not there
 */
export async function readRocoLists(
  client: HttpClient,
  base: string,
  split: Split,
  kind: 'radiology' | 'non-radiology',
): Promise<RocoLists> {
  const folder = `${base}/data/${split}/${kind}`;
  const name = (file: string): string => `${split}/${kind}/${file}`;
  // One after the other: when the host is down, the retries of one file are enough to know.
  const whole = await fetchText(client, `${folder}/captions.txt`);
  const captionText = whole ?? (await fetchText(client, `${folder}/captions.partial.txt`));
  if (captionText === null) throw new Error(`${folder}/captions.txt is not there (HTTP 404): is the address of ROCO's lists right?`);
  const captions = parseCaptions(captionText, name(whole === null ? 'captions.partial.txt' : 'captions.txt'));
  const licences = parseLicences((await fetchText(client, `${folder}/licences.txt`)) ?? '', name('licences.txt'));
  const links = parseLinks((await fetchText(client, `${folder}/dlinks.txt`)) ?? '', name('dlinks.txt'));
  const concepts = parseConcepts((await fetchText(client, `${folder}/cuis.txt`)) ?? '', name('cuis.txt'));
  if (captions.rows.size === 0) throw new Error(`${folder}/captions.txt holds no row of the form id, tab, caption`);
  if (licences.rows.size === 0 && links.rows.size === 0) throw new Error(`${folder}: neither dlinks.txt nor licences.txt names a figure`);

  const leftOut: LeftOut[] = [...captions.leftOut, ...licences.leftOut, ...links.leftOut];
  const reported = new Set(captions.leftOut.map(row => row.id));
  const rows: RocoRow[] = [];
  for (const [id, caption] of captions.rows) {
    const licence = licences.rows.get(id);
    const figure = links.rows.get(id) ?? licence;
    if (figure === undefined) leftOut.push({ id, kind: 'absent', reason: `${split}: no list says which figure the caption belongs to` });
    else rows.push({ id, split, pmcid: figure.pmcid, file: figure.file, caption, licence: licence?.licence ?? null, concepts: concepts.rows.get(id) ?? [] });
  }
  for (const id of new Set([...licences.rows.keys(), ...links.rows.keys()])) {
    if (!captions.rows.has(id) && !reported.has(id)) leftOut.push({ id, kind: 'absent', reason: `${split}: the caption is not at hand` });
  }
  return { rows, leftOut };
}
