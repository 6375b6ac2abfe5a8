/** The shared cache on servers that people really have: nginx with WebDAV, password and TLS, and a strict S3 server. */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, afterEach, expect, it } from 'vitest';
import { tellOf } from '../faults/rig/tally.ts';
import { clockOff, holdsText, Sharing } from '../rig/sharing.ts';
import { describeWith, startDaemon } from './rig/daemon.ts';
import type { Daemon } from './rig/daemon.ts';

interface Kind {
  readonly daemon: string;
  readonly ports: number;
  readonly name: string;
  readonly settings: (daemon: Daemon) => string;
  /** Where its files are, one folder each for `cas` and `ac`. */
  readonly files: (daemon: Daemon) => string;
  readonly env: Readonly<Record<string, string>>;
  /** What the server makes of a wrong secret. */
  readonly wrong: Readonly<Record<string, string>>;
  readonly secret: string;
  /** Whether the first of two writers wins, or the last. */
  readonly conditional: boolean;
}

const kinds: readonly Kind[] = [
  {
    daemon: 'http-cache', ports: 2, name: 'nginx over TLS',
    settings: ({ ports, folder }) => `url: https://localhost:${ports[1]}/\nca: ${join(folder, 'tls.crt')}\n`,
    files: ({ folder }) => join(folder, 'data'),
    env: { PIPE_REMOTE_CACHE_USER: 'ci', PIPE_REMOTE_CACHE_PASSWORD: 's3cret' }, wrong: { PIPE_REMOTE_CACHE_PASSWORD: 'wrong-one' }, secret: 's3cret', conditional: false,
  },
  {
    daemon: 's3', ports: 1, name: 'a bucket',
    settings: ({ ports }) => `url: s3://results/lab\nendpoint: http://127.0.0.1:${ports[0]}\n`,
    files: ({ folder }) => join(folder, 'data/results/lab'),
    env: { AWS_ACCESS_KEY_ID: 'testkey123', AWS_SECRET_ACCESS_KEY: 'testsecret123' }, wrong: { AWS_SECRET_ACCESS_KEY: 'wrong-one' }, secret: 'testsecret123', conditional: true,
  },
];

for (const kind of kinds) {
  describeWith([kind.daemon], `shared cache: ${kind.name}`, () => {
    let daemon: Daemon;
    let sharing: Sharing;
    const restart = async (): Promise<void> => void (await daemon.tell('start', ...daemon.ports.map(String)));
    beforeAll(async () => void (daemon = await startDaemon(kind.daemon, kind.ports)));
    afterAll(async () => await daemon.stop());
    beforeEach(() => void (sharing = new Sharing(kind.env)));
    afterEach(() => sharing.close());

    const settings = (more = ''): string => `${kind.settings(daemon)}timeout: 2s\nsalt: ${sharing.home}\n${more}`;
    /** An S3 server drops a folder with its last file. */
    const files = (folder: 'ac' | 'cas'): string[] => {
      const path = join(kind.files(daemon), folder);
      return existsSync(path) ? readdirSync(path).map(name => join(path, name)) : [];
    };
    /** A large output that nothing compresses, so that it goes in parts. */
    const large = (text: string): string => text.replace('head -c 1700000', 'head -c 60000000');

    it('shares results between two projects: the second runs nothing and gets every byte', async () => {
      const first = sharing.project(settings('write: true\n'), large);
      await sharing.key(first);
      expect(await sharing.run(first)).toMatchObject({ ran: 2, warnings: [] });
      const second = sharing.project(settings(), large);
      expect(await sharing.run(second)).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
      expect(JSON.parse((await sharing.call(second, ['cache', 'pull', '--json'])).stdout)).toMatchObject({ outputs: 3, failed: [] });
      for (const file of ['1.txt', 'zeros', 'random', 'deep/er/run.sh']) {
        expect(readFileSync(second.path('cache/out/p/words/texts', file)).equals(readFileSync(first.path('cache/out/p/words/texts', file)))).toBe(true);
      }
      expect((await sharing.call(second, ['cache', 'verify'])).code).toBe(0);
      expect(JSON.parse((await sharing.call(second, ['cache', 'verify', '--remote', '--json'])).stdout)).toMatchObject({ records: 4, bad: [] });
      expect(sharing.runs).toBe(2);
      for (const folder of [first.folder, second.folder, kind.files(daemon)]) expect(holdsText(folder, kind.secret)).toBe(false);
    });

    it('says a wrong secret once, and the results stand', async () => {
      const first = sharing.project(settings('write: true\n'));
      await sharing.key(first);
      const run = await sharing.run(first, [], kind.wrong);
      expect(run).toMatchObject({ ran: 2, exitCode: 0 });
      expect(run.warnings.length).toBeGreaterThan(0);
      expect(run.warnings.length).toBeLessThanOrEqual(2);
      expect(run.warnings.join()).toMatch(/401|403/);
      expect(run.warnings.join()).not.toContain('wrong-one');
    });

    it('outlives a server that is killed in the middle of uploads, ten times: never a record without its blobs', async () => {
      const first = sharing.project(settings(), large);
      await sharing.key(first);
      await sharing.run(first);
      let cut = 0;
      for (let time = 0; time < 10; time++) {
        for (const file of [...files('ac'), ...files('cas')]) rmSync(file, { force: true, recursive: true });
        await tellOf(`shared cache, ${kind.name}: killed while results are pushed`, 'no record without its blobs', async () => {
          const pushing = sharing.call(first, ['cache', 'push']);
          // Any moment will do, and a different one each time.
          await wait(300 + time * 70);
          await daemon.tell('kill');
          if ((await pushing).code !== 0) cut++;
          await restart();
          const verified = JSON.parse((await sharing.call(first, ['cache', 'verify', '--remote', '--json'])).stdout) as { bad: unknown[] };
          expect(verified.bad).toEqual([]);
        });
      }
      expect(cut).toBeGreaterThan(0);
      expect((await sharing.call(first, ['cache', 'push'])).code).toBe(0);
      expect(files('ac')).toHaveLength(4);
      expect(await sharing.run(sharing.project(settings(), large))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
    });

    it('takes nothing that was altered or cut off on the server', async () => {
      for (const damage of ['altered', 'cut off'] as const) {
        await tellOf(`shared cache, ${kind.name}: blobs ${damage} on the server`, 'made again, none taken', async () => {
          const before = { ac: files('ac'), cas: files('cas') };
          const tag = damage.replace(' ', '-');
          const first = sharing.project(settings('write: true\n'), text => text.replace('tag: one', `tag: ${tag}`));
          await sharing.key(first);
          await sharing.run(first);
          const second = sharing.project(settings(), text => text.replace('tag: one', `tag: ${tag}`).replace('extra: 0', 'extra: 1'));
          expect((await sharing.call(second, ['status', '--json'])).stdout).toContain('"remote":true');
          for (const file of files('cas').filter(name => !before.cas.includes(name))) {
            const bytes = readFileSync(file);
            if (damage === 'altered') writeFileSync(file, bytes.map((byte, index) => (index === bytes.length >> 1 ? byte ^ 1 : byte)));
            else truncateSync(file, bytes.length >> 1);
          }
          const run = await sharing.run(second);
          expect(run).toMatchObject({ failures: [], ran: 2, exitCode: 0 });
          expect(run.warnings.join()).toContain('made again');
          expect((await sharing.call(second, ['cache', 'verify'])).code).toBe(0);
        });
      }
    });

    it('does not believe a record in the right shape that somebody unknown has signed', async () => {
      await tellOf(`shared cache, ${kind.name}: records of an unknown signer`, 'not believed', async () => {
        const other = sharing.otherHome();
        const stranger = sharing.project(settings('write: true\n'));
        await sharing.key(stranger, other);
        expect(await sharing.run(stranger, [], other)).toMatchObject({ ran: 2, warnings: [] });
        const mine = sharing.project(settings('write: true\n'));
        await sharing.key(mine);
        const run = await sharing.run(mine);
        expect(run).toMatchObject({ ran: 2, exitCode: 0 });
        expect(run.warnings.join()).toContain('whom nobody here trusts');
        // Mine stand there now.
        expect(await sharing.run(sharing.project(settings()))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
      });
    });

    it('lets two push the same at once, five times', async () => {
      for (let time = 0; time < 5; time++) {
        await tellOf(`shared cache, ${kind.name}: two push the same at once`, 'one whole set of records', async () => {
          const change = (text: string): string => text.replace('tag: one', `tag: race-${time}`).replace('/dev/urandom', '/dev/zero');
          const [first, second] = [sharing.project(settings('write: true\n'), change), sharing.project(settings('write: true\n'), change)];
          await sharing.key(first);
          const runs = await Promise.all([sharing.run(first), sharing.run(second)]);
          for (const run of runs) expect(run).toMatchObject({ failures: [], exitCode: 0, warnings: [] });
          expect(JSON.parse((await sharing.call(first, ['cache', 'verify', '--remote', '--json'])).stdout)).toMatchObject({ records: 4, bad: [] });
          expect(await sharing.run(sharing.project(settings(), change))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
        });
      }
    });

    it('takes no notice of a clock that is an hour off', async () => {
      for (const hours of [-1, 1]) {
        await tellOf(`shared cache, ${kind.name}: clock off by an hour`, 'results are pushed and taken', async () => {
          const change = (text: string): string => text.replace('tag: one', `tag: clock${hours}`);
          const first = sharing.project(settings('write: true\n'), change);
          await sharing.key(first);
          expect(await sharing.run(first, [], clockOff(hours))).toMatchObject({ ran: 2, warnings: [] });
          expect(await sharing.run(sharing.project(settings(), change))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
          expect(await sharing.run(sharing.project(settings(), change), [], clockOff(hours))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
        });
      }
    });
  });
}

describeWith(['s3'], 'shared cache: a bucket that everybody may read', () => {
  let daemon: Daemon;
  beforeAll(async () => void (daemon = await startDaemon('s3', 1)));
  afterAll(async () => await daemon.stop());

  it('is read without credentials, large blobs, too, and says so where it may not be', async () => {
    const endpoint = `http://127.0.0.1:${daemon.ports[0]}`;
    const sharing = new Sharing({ AWS_ACCESS_KEY_ID: 'testkey123', AWS_SECRET_ACCESS_KEY: 'testsecret123' });
    const nobody = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId: 'testkey123', secretAccessKey: 'testsecret123' } });
    try {
      const settings = `url: s3://results/open\nendpoint: ${endpoint}\ntimeout: 2s\n`;
      const large = (text: string): string => text.replace('head -c 1700000', 'head -c 60000000');
      const first = sharing.project(`${settings}write: true\n`, large);
      await sharing.key(first);
      expect(await sharing.run(first)).toMatchObject({ ran: 2, warnings: [] });
      const refused = await sharing.run(sharing.project(settings, large), [], nobody);
      expect(refused.warnings.join()).toContain('403');
      await client.send(new PutBucketPolicyCommand({ Bucket: 'results', Policy: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::results/*'] }] }) }));
      const second = sharing.project(settings, large);
      expect(await sharing.run(second, [], nobody)).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
      expect(JSON.parse((await sharing.call(second, ['cache', 'pull', '--json'], nobody)).stdout)).toMatchObject({ outputs: 3, failed: [] });
      expect(readFileSync(second.path('cache/out/p/words/texts/random')).equals(readFileSync(first.path('cache/out/p/words/texts/random')))).toBe(true);
    } finally {
      client.destroy();
      sharing.close();
    }
  });
});
