/** Ed25519 keys that records are signed with. A public key is written `ed25519:` and its 32 bytes in base64. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PipeError } from '../diagnostic.ts';

/** As it is written in files and shown. */
export type PublicKeyText = string & { readonly __brand: 'PublicKeyText' };

export interface SigningKey {
  readonly publicKey: PublicKeyText;
  sign(text: string): string;
}

const prefix = 'ed25519:';
/** What stands before the 32 bytes in the SPKI form of an Ed25519 key (RFC 8410). */
const spkiHeader = Buffer.from('302a300506032b6570032100', 'hex');

/** Null for what is no Ed25519 public key. */
export function parsePublicKey(text: string): PublicKeyText | null {
  if (!text.startsWith(prefix)) return null;
  const bytes = Buffer.from(text.slice(prefix.length), 'base64');
  return bytes.length === 32 ? encode(bytes) : null;
}

/** From the PEM (PKCS #8) of a private key; `where` is named when it is none. */
export function parseSigningKey(pem: string, where: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The error of the library might show what was given.
    throw notAKey(where);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw notAKey(where);
  return { publicKey: publicKeyOf(key), sign: text => sign(null, Buffer.from(text), key).toString('base64') };
}

export function generateSigningKey(): { readonly pem: string; readonly publicKey: PublicKeyText } {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, publicKey: publicKeyOf(privateKey) };
}

export function signedBy(publicKey: PublicKeyText, text: string, signature: string): boolean {
  const key = createPublicKey({ key: Buffer.concat([spkiHeader, Buffer.from(publicKey.slice(prefix.length), 'base64')]), format: 'der', type: 'spki' });
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
}

function publicKeyOf(key: KeyObject): PublicKeyText {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return encode(der.subarray(spkiHeader.length));
}

const encode = (bytes: Uint8Array): PublicKeyText => `${prefix}${Buffer.from(bytes).toString('base64')}` as PublicKeyText;

function notAKey(where: string): PipeError {
  return new PipeError(`${where} is no Ed25519 private key`, {
    exitCode: 2, code: 'no-signing-key', hint: 'it has to be the PEM that `pipe cache keys generate` writes (-----BEGIN PRIVATE KEY-----)',
  });
}
