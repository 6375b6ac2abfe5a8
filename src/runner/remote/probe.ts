/** What a host says of itself, asked by a shell alone: before anything was sent there, and where nothing can be sent any more. */
import { isCompatibleUname, nodeName, unameHere } from './connect.ts';
import type { HostSettings } from '../hosts/model.ts';
import type { HostPrograms } from './programs.ts';
import { runThere } from './transport.ts';

/**
 * POSIX shell; its words: folder, name of the programs, name of the Node, a Node that is there, set-up, `uname -s -m` of
 * this machine, partition of a cluster ('-': no cluster), and commands whose versions count. Prints lines of `name|value`.
 */
const probeScript = `
say() { echo "pipe-probe|$1|$2"; }
limit() { if command -v timeout >/dev/null 2>&1; then timeout 10 "$@"; else "$@"; fi; }
folder=$1
case $folder in
  "~") folder=$HOME ;;
  "~/"*) folder=$HOME/\${folder#"~/"} ;;
  /*) ;;
  *) folder=$HOME/$folder ;;
esac
eval "$5"
say time "$(date +%s.%N)"
partition=$7
say folder "$folder"
say who "$(id -un)@$(uname -n)"
say uname "$(uname -s) $(uname -m)"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
say memory "$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo 2>/dev/null)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
probe=$folder/bin/.probe-$$
trouble=$( { mkdir -p "$folder/bin" && dd if=/dev/zero of="$probe" bs=1024 count=64 && rm -f "$probe"; } 2>&1 ) && say write yes || say write "no $(printf '%s\\n' "$trouble" | head -n 1)"
rm -f "$probe" 2>/dev/null
at=$folder
while [ ! -d "$at" ]; do at=$(dirname "$at"); done
say free "$(df -Pk "$at" 2>/dev/null | awk 'NR == 2 { print $4 }')"
say inodes "$(df -Pi "$at" 2>/dev/null | awk 'NR == 2 { print $4 }')"
node=$folder/bin/$3/node
if [ -n "$4" ]; then node=$4
elif [ "$(uname -s) $(uname -m)" != "$6" ]; then node=$(command -v node) || node=
fi
say node-path "$node"
if [ -n "$node" ] && [ -x "$node" ]; then say node "$(limit "$node" --version 2>&1 | tail -n 1)"; fi
[ -f "$folder/bin/$2/host-agent.js" ] && say programs yes || say programs no
[ -e /dev/nvidia0 ] && say gpu-device yes
if command -v nvidia-smi >/dev/null 2>&1; then
  limit nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>&1 | while IFS= read -r line; do say gpu "$line"; done
fi
for ready in "\${PIPE_BACKENDS:-\${XDG_CACHE_HOME:-$HOME/.cache}/pipe/backends}"/*/ready.json; do
  [ -f "$ready" ] && say backend "$(dirname "$ready")"
done
if [ "$partition" != - ]; then
  say sbatch "$(limit sbatch --version 2>&1 | tail -n 1)"
  limit sinfo -h -o '%R %D %T %G' 2>&1 | while IFS= read -r line; do say partition "$line"; done
fi
shift 7
for command; do say "version $command" "$(limit sh -c "$command --version" 2>&1 | head -n 1)"; done
say end yes
`;

export interface Probe {
  /** By name, in the order said. */
  readonly says: ReadonlyMap<string, readonly string[]>;
  /** Until it had answered, in milliseconds. */
  readonly tookMs: number;
  /** Its clock minus this machine's, in seconds, right to the time that a word takes. */
  readonly clockAheadSeconds: number | null;
}

export interface NoProbe {
  readonly stdout: string;
  readonly stderr: string;
}

const longestMs = 60_000;

export async function probeHost(host: HostSettings, programs: HostPrograms): Promise<Probe | NoProbe> {
  const started = performance.now();
  let clock: { there: number; here: number } | null = null;
  const finished = await runThere(host, probeScript, [
    host.folder, programs.name, nodeName(), host.node ?? '', host.setup ?? '', unameHere(), host.slurm === null ? '-' : (host.slurm.partition ?? ''), ...Object.keys(host.interpreters),
  ], {
    timeoutMs: longestMs,
    onStdout: text => {
      const time = clock === null ? /^pipe-probe\|time\|(\d+)(\.\d+)?/m.exec(text) : null;
      if (time !== null) clock = { there: Number(`${time[1]}${time[2] ?? ''}`), here: Date.now() / 1000 };
    },
  });
  const says = new Map<string, string[]>();
  for (const [, name, value] of finished.stdout.matchAll(/^pipe-probe\|([^|]*)\|(.*)$/gm)) says.set(name!, [...(says.get(name!) ?? []), value!.trim()]);
  if (!says.has('end')) return finished.timedOut ? { ...finished, stderr: `${finished.stderr}\nit did not answer within ${longestMs / 1000} s` } : finished;
  const { there, here } = clock ?? { there: Number.NaN, here: 0 };
  return { says, tookMs: performance.now() - started, clockAheadSeconds: Number.isNaN(there) ? null : there - here };
}

/** Whether this machine's Node, which is sent there, would run there. */
export const takesOurNode = (host: HostSettings, probe: Probe): boolean => host.node === null && isCompatibleUname(probe.says.get('uname')?.[0] ?? '');
