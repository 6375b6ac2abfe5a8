/** A table in Markdown. */
export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows.map(row => row.map(cell => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ')))].map(cells => `| ${cells.join(' | ')} |`).join('\n');

/** A number as people write it: thousands apart, at most one digit after the point; a dash for none. */
export const inWords = (value: number | undefined): string => (value === undefined || Number.isNaN(value) ? '–' : Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(1));

/** A share in percent, with more digits where it is small. */
export const percent = (share: number | undefined): string => (share === undefined || Number.isNaN(share) ? '–' : `${(100 * share).toFixed(share > 0 && share < 0.01 ? 2 : 1)} %`);
