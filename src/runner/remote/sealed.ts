/**
 * Secrets for a job that a scheduler starts later, when nobody holds its standard input: the supervisor makes a key pair
 * in its memory and shows the public half, the driver answers with what only that process can open. No file ever holds
 * a secret that can be read.
 */
import { createCipheriv, createDecipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export interface SealedBox {
  readonly publicKey: string;
  readonly nonce: string;
  readonly tag: string;
  readonly text: string;
}

export function makeKeys(): { readonly publicKey: string; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'), privateKey };
}

export function seal(text: string, publicKey: string): SealedBox {
  const own = makeKeys();
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sharedKey(own.privateKey, publicKey), nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return { publicKey: own.publicKey, nonce: nonce.toString('base64'), tag: cipher.getAuthTag().toString('base64'), text: sealed.toString('base64') };
}

export function open(box: SealedBox, privateKey: KeyObject): string {
  const decipher = createDecipheriv('aes-256-gcm', sharedKey(privateKey, box.publicKey), Buffer.from(box.nonce, 'base64'));
  decipher.setAuthTag(Buffer.from(box.tag, 'base64'));
  return Buffer.concat([decipher.update(Buffer.from(box.text, 'base64')), decipher.final()]).toString('utf8');
}

function sharedKey(privateKey: KeyObject, publicKey: string): Buffer {
  const theirs = createPublicKey({ key: Buffer.from(publicKey, 'base64'), type: 'spki', format: 'der' });
  return Buffer.from(hkdfSync('sha256', diffieHellman({ privateKey, publicKey: theirs }), Buffer.alloc(0), 'pipe secrets', 32));
}
