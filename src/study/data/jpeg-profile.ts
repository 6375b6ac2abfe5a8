const letters = Buffer.from('ICC_PROFILE\0', 'latin1');

/** What a JPEG file says of its colours. */
export interface JpegColours {
  readonly channels: 1 | 3;
  readonly profile: Buffer;
}

/**
 * The colour profile of a JPEG file of grey or YCbCr, from its markers alone (ITU-T T.81, annex B; profiles as ICC.1:2022,
 * annex B.4, cuts them into segments). Null where there is none, and where the file is anything unusual: no JPEG, CMYK,
 * segments that are missing or out of order.
 */
export function jpegColours(bytes: Uint8Array): JpegColours | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (file.length < 4 || file.readUInt16BE(0) !== 0xffd8) return null;
  const parts: Buffer[] = [];
  let [count, channels] = [0, 0];
  for (let at = 2; at + 4 <= file.length; ) {
    const [mark, kind] = [file[at], file[at + 1] as number];
    if (mark !== 0xff) return null;
    if (kind === 0xff) at += 1; // filler
    else {
      const length = file.readUInt16BE(at + 2);
      const body = file.subarray(at + 4, at + 2 + length);
      if (length < 2 || at + 2 + length > file.length) return null;
      if (kind === 0xda) break; // the picture itself
      if (isFrame(kind)) channels = body[5] ?? 0;
      if (kind === 0xe2 && body.length > 14 && body.subarray(0, 12).equals(letters)) {
        if (body[12] !== parts.length + 1) return null;
        count = body[13] ?? 0;
        parts.push(body.subarray(14));
      }
      at += 2 + length;
    }
  }
  if (parts.length === 0 || parts.length !== count || (channels !== 1 && channels !== 3)) return null;
  return { channels, profile: Buffer.concat(parts) };
}

/** SOF0 to SOF15, without the tables whose numbers lie between. */
const isFrame = (kind: number): boolean => kind >= 0xc0 && kind <= 0xcf && kind !== 0xc4 && kind !== 0xc8 && kind !== 0xcc;
