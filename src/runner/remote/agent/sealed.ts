/** The host's half of handing secrets to a job that Slurm has started. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeKeys, open } from '../sealed.ts';
import type { SealedBox } from '../sealed.ts';
import { readJson, writeWhole } from './job-folder.ts';

const pollMs = 200;

export interface SecretsWanted {
  readonly token: string;
  readonly publicKey: string;
}

export const wantedFile = (jobFolder: string): string => join(jobFolder, 'wants-secrets.json');
export const sealedFile = (jobFolder: string): string => join(jobFolder, 'secrets.sealed');

/** Asks for the secrets and waits until a driver has sent them. Rejects when the job is to stop meanwhile. */
export async function unseal(jobFolder: string, token: string, signal: AbortSignal): Promise<Record<string, string>> {
  const { publicKey, privateKey } = makeKeys();
  rmSync(sealedFile(jobFolder), { force: true });
  writeWhole(wantedFile(jobFolder), JSON.stringify({ token, publicKey } satisfies SecretsWanted));
  try {
    for (;;) {
      const box = readJson<SealedBox>(sealedFile(jobFolder));
      if (box !== null) return JSON.parse(open(box, privateKey)) as Record<string, string>;
      if (signal.aborted) throw new Error('stopped while it waited for its secrets, which the run that started it sends');
      await new Promise<void>(resolve => setTimeout(resolve, pollMs));
    }
  } finally {
    rmSync(wantedFile(jobFolder), { force: true });
    rmSync(sealedFile(jobFolder), { force: true });
  }
}
