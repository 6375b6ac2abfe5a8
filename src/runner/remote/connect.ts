/** From a host's settings to an agent that answers there; what is missing there is sent first. */
import { statSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { PipeError } from '../diagnostic.ts';
import type { HostSettings } from '../hosts/model.ts';
import { lastLine, Link } from './link.ts';
import type { HostPrograms } from './programs.ts';
import { sshTrouble } from './ssh-trouble.ts';
import { runThere, startThere } from './transport.ts';

/** POSIX shell; its words: folder, name of the programs, name of the Node, a Node that is there, set-up, `uname -s -m` of this machine. */
const beginScript = `
folder=$1
case $folder in
  "~") folder=$HOME ;;
  "~/"*) folder=$HOME/\${folder#"~/"} ;;
  /*) ;;
  *) folder=$HOME/$folder ;;
esac
mkdir -p "$folder/bin" || { echo "pipe-cannot|the work folder $folder cannot be made"; exit 3; }
eval "$5"
here="$(uname -s) $(uname -m)"
node=$folder/bin/$3/node
if [ -n "$4" ]; then node=$4
elif [ "$here" != "$6" ]; then node=$(command -v node) || node=
fi
n=yes
a=yes
if [ -n "$node" ] && [ "$node" != "$folder/bin/$3/node" ] && [ -x "$node" ]; then
  v=$("$node" --version 2>&1 | tail -n 1)
  case $v in
    v2[1-9].*|v[3-9][0-9].*|v20.19.*|v20.[2-9][0-9].*) ;;
    *) echo "pipe-old|$v|$node"; exit 3 ;;
  esac
fi
[ -n "$node" ] && [ -x "$node" ] || n=no
[ -f "$folder/bin/$2/host-agent.js" ] || a=no
if [ $n$a = yesyes ]; then exec "$node" "$folder/bin/$2/host-agent.js" serve "$folder"; fi
echo "pipe-need|$n|$a|$here|$folder|$node"
`;

/**
 * Takes its input into a file that appears by rename; its words: folder, name, mode, size. A connection that is cut looks
 * like the end of the input, and a part of a file must not stay, whether for that or for want of room.
 */
const receiveScript = `
part=$1/.$2.$$
mkdir -p "$1" && cat > "$part" && [ "$(($(wc -c < "$part")))" -eq "$4" ] && chmod "$3" "$part" && mv -f "$part" "$1/$2" && exit 0
rm -f "$part"
exit 1
`;

/** A host that cannot be used, and trying again would not help. */
export class HostUnusable extends PipeError {
  override readonly name = 'HostUnusable';
}

/** Throws HostUnusable, or an Error when it may be otherwise in a moment. */
export async function connect(host: HostSettings, programs: HostPrograms, notice: (text: string) => void): Promise<Link> {
  const node = nodeName();
  const words = [host.folder, programs.name, node, host.node ?? '', host.setup ?? '', unameHere()];
  for (let sent = 0; ; sent++) {
    const opened = await Link.open(startThere(host, beginScript, words));
    if (opened instanceof Link) return opened;
    const need = /^pipe-need\|(yes|no)\|(yes|no)\|(.*)\|(.*)\|(.*)$/m.exec(opened.stdout);
    if (need === null || sent === 2) throw notConnected(host, opened);
    const [, hasNode, hasPrograms, there, folder] = need;
    if (hasNode === 'no') await sendNode(host, node, there!, folder!, notice);
    if (hasPrograms === 'no') {
      for (const { name, path } of programs.files) await sendFile(host, path, `${folder}/bin/${programs.name}`, name, '644');
    }
  }
}

async function sendNode(host: HostSettings, name: string, there: string, folder: string, notice: (text: string) => void): Promise<void> {
  if (host.node !== null) {
    throw new HostUnusable(`${host.name}: there is no Node at ${host.node}`, { exitCode: 3, code: 'no-node', hint: 'correct `node:` in the hosts file, or leave it out' });
  }
  if (there !== unameHere()) {
    throw new HostUnusable(`${host.name} is ${there} and has no Node on its PATH; the one of this machine (${unameHere()}) would not run there`, {
      exitCode: 3, code: 'no-node', hint: 'install Node 20.19 or later there and name it with `node:` in the hosts file',
    });
  }
  notice(`sending Node ${process.version} to ${host.name}, once`);
  await sendFile(host, process.execPath, `${folder}/bin/${name}`, 'node', '755');
}

async function sendFile(host: HostSettings, path: string, folder: string, name: string, mode: string): Promise<void> {
  const { code, stderr } = await runThere(host, receiveScript, [folder, name, mode, String(statSync(path).size)], { input: path });
  if (code === 0) return;
  const why = lastLine(stderr) ?? `exit code ${code}`;
  if (/No space left|quota exceeded/i.test(stderr)) throw new HostUnusable(`the disk of ${host.name} is full: ${why}`, { exitCode: 3, code: 'disk-full', hint: `free some space in ${host.folder} there` });
  throw new Error(`${name} could not be sent to ${host.name}: ${why}`);
}

function notConnected(host: HostSettings, { stdout, stderr }: { readonly stdout: string; readonly stderr: string }): Error {
  const cannot = /^pipe-cannot\|(.*)$/m.exec(stdout);
  if (cannot !== null) return new HostUnusable(`${host.name}: ${cannot[1]}: ${lastLine(stderr) ?? ''}`, { exitCode: 3, code: 'host-unusable', hint: 'change `folder:` in the hosts file' });
  const old = /^pipe-old\|(.*)\|(.*)$/m.exec(stdout);
  if (old !== null) {
    return new HostUnusable(`${host.name}: the Node at ${old[2]} is ${old[1]}, and 20.19 or later is needed`, { exitCode: 3, code: 'no-node', hint: 'install a later one there and name it with `node:` in the hosts file' });
  }
  const why = lastLine(stderr) ?? 'it said nothing';
  const known = sshTrouble(host, stderr);
  if (known !== null && !known.passing) {
    return new HostUnusable(`${host.name} cannot be used: ${why}`, { exitCode: 3, code: known.code, hint: `${known.hint}${known.mend === null ? '' : `: ${known.mend}`}` });
  }
  if (/No space left|ENOSPC/.test(stderr)) return new HostUnusable(`the disk of ${host.name} is full: ${why}`, { exitCode: 3, code: 'disk-full', hint: `free some space in ${host.folder} there` });
  return new Error(why);
}

/** Under which this machine's Node lies there. */
export const nodeName = (): string => `node-${process.version}-${platform()}-${arch()}`;

export const isCompatibleUname = (there: string): boolean => there === unameHere();

export function unameHere(): string {
  const system = platform() === 'darwin' ? 'Darwin' : platform() === 'linux' ? 'Linux' : platform();
  const machine = arch() === 'x64' ? 'x86_64' : arch() === 'arm64' ? (platform() === 'darwin' ? 'arm64' : 'aarch64') : arch();
  return `${system} ${machine}`;
}
