import type { DicomImage as DicomImageType } from 'dcmjs-imaging';

export interface DicomPixels {
  readonly raw: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
}

type Library = typeof import('dcmjs-imaging');

let ready: Promise<Library> | undefined;

/** The library with its decoders (WebAssembly: JPEG, JPEG-LS, JPEG 2000, RLE), loaded once, and only where there is a DICOM file. */
function library(): Promise<Library> {
  ready ??= (async () => {
    const imported = (await import('dcmjs-imaging')) as Library & { readonly default?: Library };
    const imaging = imported.default ?? imported;
    // Its notes on odd headers would fill the log; what matters comes out as an error or as pixels.
    imaging.log.setLevel('silent');
    await imaging.NativePixelDecoder.initializeAsync();
    return imaging;
  })();
  return ready;
}

const pixelTag = Buffer.from([0xe0, 0x7f, 0x10, 0x00]);

/** The library fills missing bytes up with what is there; so whether the pixels are all here is looked up in the file. */
function isCutOff(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = buffer.lastIndexOf(pixelTag);
  if (at < 0 || at + 12 > buffer.length) return true;
  const explicit = /^O[BW]$/.test(buffer.toString('latin1', at + 4, at + 6));
  const length = buffer.readUInt32LE(at + (explicit ? 8 : 4));
  return length !== 0xffffffff && at + (explicit ? 12 : 8) + length > buffer.length;
}

/**
 * Decodes the first frame of a DICOM file: window and level (the file's own, else of its values), palettes and colour spaces
 * applied, as a viewer shows it.
 *
 * @returns `[height × width × 3]` bytes, rows first
 * @throws Error when there is no image in it, it is cut off, or of a kind that is not read
 */
export async function decodeDicom(bytes: Uint8Array): Promise<DicomPixels> {
  const { DicomImage } = await library();
  const bigEndian = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1024)).includes('1.2.840.10008.1.2.2');
  let rendered: ReturnType<DicomImageType['render']>;
  try {
    const image = new DicomImage(new Uint8Array(bytes).buffer);
    if (!Number.isInteger(image.getWidth()) || !Number.isInteger(image.getHeight())) throw new Error('it holds no image');
    if (!bigEndian && isCutOff(bytes)) throw new Error('its pixels are cut off');
    rendered = image.render({ frame: 0 });
  } catch (error) {
    throw new Error(`DICOM: ${error instanceof Error ? error.message.trim() : String(error)}`, { cause: error });
  }
  const { width, height } = rendered;
  const rgba = new Uint8Array(rendered.pixels);
  const raw = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < raw.length; from += 4, to += 3) {
    raw[to] = rgba[from] ?? 0;
    raw[to + 1] = rgba[from + 1] ?? 0;
    raw[to + 2] = rgba[from + 2] ?? 0;
  }
  return { raw, width, height, channels: 3 };
}
