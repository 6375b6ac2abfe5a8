/** What went wrong on the way to a server, in words that name it. */
import { errorCode } from '../store/file-bytes.ts';
import { RemoteTrouble } from './remote.ts';
import type { TroubleKind } from './remote.ts';

const kinds: Readonly<Record<string, TroubleKind>> = {
  ECONNRESET: 'cut', EPIPE: 'cut', ERR_STREAM_PREMATURE_CLOSE: 'cut', ETIMEDOUT: 'timeout', ESOCKETTIMEDOUT: 'timeout',
};

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there', ENOTFOUND: 'there is no such host', EAI_AGAIN: 'its name cannot be looked up', ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut', ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut', ETIMEDOUT: 'it does not answer', EHOSTUNREACH: 'it cannot be reached', ENETUNREACH: 'it cannot be reached',
};

export function networkTrouble(error: unknown, what: string): unknown {
  if (error instanceof RemoteTrouble) return error;
  if (!(error instanceof Error)) return new RemoteTrouble('unreachable', `${what}: ${String(error)}`);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return new RemoteTrouble('timeout', `${what}: it took too long`, error);
  const code = errorCode(error);
  const kind = (code === null ? undefined : kinds[code]) ?? (error.message === 'aborted' || error.message === 'socket hang up' ? 'cut' : 'unreachable');
  return new RemoteTrouble(kind, `${what}: ${(code === null ? undefined : words[code]) ?? error.message}`, error);
}
