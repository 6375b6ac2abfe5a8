/** From the settings to the client; that of S3 is loaded only for a bucket. */
import type { SharedCacheConfig } from './config.ts';
import type { SharedCache } from './remote.ts';

const connections = 16;

export async function connect(config: Pick<SharedCacheConfig, 'url' | 'authorization' | 'ca' | 'timeoutMs' | 's3'>): Promise<SharedCache> {
  const { url, ca, timeoutMs } = config;
  if (url.protocol === 's3:') {
    // It would tell every user of Node 20 that its later versions need 22; ours is fixed.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const { openS3Cache } = await import('./s3-cache.ts');
    return openS3Cache({ bucket: url.hostname, prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''), ...config.s3, ca, timeoutMs, connections });
  }
  const { openHttpCache } = await import('./http-cache.ts');
  return openHttpCache({ url, authorization: config.authorization, ca, timeoutMs, connections });
}
