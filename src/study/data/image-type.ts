const signatures: readonly (readonly [string, readonly number[]])[] = [
  ['jpg', [0xff, 0xd8, 0xff]],
  ['png', [0x89, 0x50, 0x4e, 0x47]],
  ['gif', [0x47, 0x49, 0x46, 0x38]],
  ['tif', [0x49, 0x49, 0x2a, 0x00]],
  ['tif', [0x4d, 0x4d, 0x00, 0x2a]],
  ['webp', [0x52, 0x49, 0x46, 0x46]],
  ['bmp', [0x42, 0x4d]],
];

/** Whether these are the first bytes of a DICOM file: 128 of anything, then its mark. */
export const isDicom = (bytes: Uint8Array): boolean => bytes.length >= 132 && String.fromCharCode(...bytes.subarray(128, 132)) === 'DICM';

/** The usual ending of an image's format by its first bytes (132 tell all); undefined when they belong to no image. */
export function imageEnding(bytes: Buffer): string | undefined {
  return isDicom(bytes) ? 'dcm' : signatures.find(([, start]) => start.every((byte, index) => bytes[index] === byte))?.[0];
}
