/**
 * What native TensorFlow is made of, pinned by content: the tfjs-node addon's sources, Node's addon headers, and the wheel
 * that carries TensorFlow's C library. Only libraries and headers of the wheel are used, so it need not fit the Python here.
 */
export const tensorFlowVersion = '2.21.0';

export interface NpmSource {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity of the archive. */
  readonly integrity: string;
  /** The archive's name as `npm pack` writes it. */
  readonly file: string;
}

export const addonSource: NpmSource = {
  name: '@tensorflow/tfjs-node',
  version: '4.22.0',
  integrity: 'sha512-uHrXeUlfgkMxTZqHkESSV7zSdKdV0LlsBeblqkuKU9nnfxB1pC6DtoyYVaLxznzZy7WQSegjcohxxCjAf6Dc7w==',
  file: 'tensorflow-tfjs-node-4.22.0.tgz',
};

export const headersSource: NpmSource = {
  name: 'node-api-headers',
  version: '1.7.0',
  integrity: 'sha512-uJMGdkhVwu9+I3UsVvI3KW6ICAy/yDfsu5Br9rSnTtY3WpoaComXvKloiV5wtx0Md2rn0B9n29Ys2WMNwWxj9A==',
  file: 'node-api-headers-1.7.0.tgz',
};

export interface Wheel {
  readonly requirement: string;
  readonly sha256: string;
  /** Which of the package's wheels, in pip's terms. */
  readonly select: readonly string[];
}

/** The wheel for a platform, `process.platform` and `process.arch`; null where none is pinned. */
export function wheelFor(platform: string, arch: string): Wheel | null {
  if (platform !== 'linux' || arch !== 'x64') return null;
  return {
    requirement: `tensorflow-cpu==${tensorFlowVersion}`,
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    select: ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--platform', 'manylinux_2_27_x86_64'],
  };
}

/**
 * The addon frees with `delete` what `splitStringByComma` allocates with `new[]`; with other allocators than glibc's that
 * crashes when a graph is run. Each text must occur exactly once.
 */
export const addonPatches: readonly { readonly file: string; readonly from: string; readonly to: string }[] = [
  'tags_ptrs',
  'output_op_name_array',
  'input_op_name_array',
].map((name) => ({ file: 'binding/tfjs_backend.cc', from: `delete ${name}[i];`, to: `delete[] ${name}[i];` }));
