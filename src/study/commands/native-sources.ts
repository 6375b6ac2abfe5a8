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

export type Device = 'cpu' | 'gpu';

export interface Wheels {
  /** Requirements and the SHA-256 of the wheel of each, TensorFlow first. */
  readonly files: readonly (readonly [requirement: string, sha256: string])[];
  /** Which of the packages' wheels, in pip's terms. */
  readonly select: readonly string[];
  /** To download, and on disk while it is installed. */
  readonly downloadBytes: number;
  readonly neededBytes: number;
}

const select = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
const platforms = (...names: readonly string[]): string[] => names.flatMap((name) => ['--platform', `${name}_x86_64`]);

/**
 * The wheels for a platform, `process.platform` and `process.arch`; null where none are pinned. For graphics processors they
 * are those of `tensorflow[and-cuda]`: the libraries find each other by their places beside one another.
 */
export function wheelsFor(platform: string, arch: string, device: Device): Wheels | null {
  if (platform !== 'linux' || arch !== 'x64') return null;
  if (device === 'cpu') {
    return {
      files: [[`tensorflow-cpu==${tensorFlowVersion}`, '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c']],
      select: [...select, ...platforms('manylinux_2_27')],
      downloadBytes: 250e6,
      neededBytes: 2e9,
    };
  }
  return {
    files: [
      [`tensorflow==${tensorFlowVersion}`, '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124'],
      ['nvidia-cublas-cu12==12.9.3.13', 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72'],
      ['nvidia-cuda-cupti-cu12==12.8.90', 'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182'],
      ['nvidia-cuda-nvcc-cu12==12.9.86', '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0'],
      ['nvidia-cuda-nvrtc-cu12==12.9.86', '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4'],
      ['nvidia-cuda-runtime-cu12==12.9.79', '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3'],
      ['nvidia-cudnn-cu12==9.28.0.42', '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375'],
      ['nvidia-cufft-cu12==11.4.1.4', 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28'],
      ['nvidia-curand-cu12==10.3.10.19', '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e'],
      ['nvidia-cusolver-cu12==11.7.5.82', '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88'],
      ['nvidia-cusparse-cu12==12.5.10.65', '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78'],
      ['nvidia-nccl-cu12==2.32.3', 'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c'],
      ['nvidia-nvjitlink-cu12==12.9.86', 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9'],
    ],
    select: [...select, ...platforms('manylinux_2_27', 'manylinux2014', 'manylinux_2_17', 'manylinux2010', 'manylinux_2_12')],
    downloadBytes: 3e9,
    neededBytes: 14e9,
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
