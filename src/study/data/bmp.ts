/** Pixels of a BMP file: `[height, width, 3]` bytes, rows first from the top. */
export interface BmpImage {
  readonly raw: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
}

export const isBmp = (bytes: Uint8Array): boolean => bytes[0] === 0x42 && bytes[1] === 0x4d;

const compressions: Readonly<Record<number, string>> = { 1: 'run-length', 2: 'run-length', 4: 'JPEG', 5: 'PNG' };

/** Where a colour's bits are in a pixel, brought to 8 bits. */
function channelOf(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return pixel => Math.round((((pixel & mask) >>> shift) * 255) / most);
}

/**
 * Decodes an uncompressed BMP file of 1, 4, 8, 16, 24 or 32 bits a pixel, with or without a palette or masks; transparency is
 * dropped. There are libraries for it, of which none reads all of these right.
 *
 * @param mostPixels what claims more is refused before anything is set aside for it
 * @throws Error when the file is cut off, compressed, or too large
 */
export function decodeBmp(bytes: Uint8Array, mostPixels: number): BmpImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 26) throw new Error('the BMP file ends in its header');
  const start = view.getUint32(10, true);
  const header = view.getUint32(14, true);
  const old = header === 12; // OS/2
  if (!old && (header < 40 || bytes.length < 54)) throw new Error('the BMP file has no header that is known, or ends in it');
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const rows = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(rows);
  const depth = view.getUint16(old ? 24 : 28, true);
  const compression = old ? 0 : view.getUint32(30, true);
  if (width < 1 || height < 1 || width * height > mostPixels) throw new Error(`the BMP file claims ${width} × ${height} pixels`);
  if (![1, 4, 8, 16, 24, 32].includes(depth)) throw new Error(`a BMP file of ${depth} bits a pixel is not read`);
  const masked = compression === 3 || compression === 6;
  if (compression !== 0 && !(masked && (depth === 16 || depth === 32))) throw new Error(`a BMP file with ${compressions[compression] ?? 'unknown'} compression is not read`);
  const stride = Math.ceil((width * depth) / 32) * 4;
  if (start + stride * height > bytes.length) throw new Error(`the BMP file is cut off: it holds ${bytes.length} bytes of ${start + stride * height}`);

  const raw = new Uint8Array(width * height * 3);
  let paint: (line: number, x: number, to: number) => void;
  if (depth <= 8) {
    const entry = old ? 3 : 4;
    const palette = 14 + header;
    const said = old ? 0 : view.getUint32(46, true);
    const colours = Math.min(said === 0 ? 2 ** depth : said, 2 ** depth, Math.floor((start - palette) / entry));
    if (colours < 1) throw new Error('the BMP file has no palette');
    paint = (line, x, to) => {
      const index = ((bytes[line + ((x * depth) >> 3)] ?? 0) >> (8 - depth - ((x * depth) & 7))) & (2 ** depth - 1);
      if (index >= colours) throw new Error(`the BMP file uses colour ${index} of ${colours}`);
      for (let channel = 0; channel < 3; channel += 1) raw[to + channel] = bytes[palette + index * entry + 2 - channel] ?? 0;
    };
  } else if (depth === 24 || (depth === 32 && !masked)) {
    paint = (line, x, to) => {
      for (let channel = 0; channel < 3; channel += 1) raw[to + channel] = bytes[line + (x * depth) / 8 + 2 - channel] ?? 0;
    };
  } else {
    const masks = masked ? [54, 58, 62].map(at => view.getUint32(at, true)) : [0x7c00, 0x3e0, 0x1f];
    const channels = masks.map(channelOf);
    paint = (line, x, to) => {
      const pixel = depth === 16 ? view.getUint16(line + x * 2, true) : view.getUint32(line + x * 4, true);
      channels.forEach((channel, at) => (raw[to + at] = channel(pixel)));
    };
  }
  for (let y = 0; y < height; y += 1) {
    const line = start + (rows < 0 ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x += 1) paint(line, x, (y * width + x) * 3);
  }
  return { raw, width, height, channels: 3 };
}
