const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text made safe for HTML and SVG, in content and in attributes. */
export const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, character => entities[character] ?? character);
