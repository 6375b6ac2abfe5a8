/** What a cluster of the hosts file asks of Slurm. */
import type { HostSettings } from '../hosts/model.ts';
import type { SlurmRequest } from './protocol.ts';

/** Null for a host without Slurm. */
export function slurmRequest({ slurm, setup }: HostSettings): SlurmRequest | null {
  if (slurm === null) return null;
  const named = (option: string, value: string | null): string[] => (value === null ? [] : [`--${option}=${value}`]);
  return {
    options: [...named('partition', slurm.partition), ...named('account', slurm.account), ...named('qos', slurm.qos), ...slurm.options],
    modules: slurm.modules, container: slurm.container, setup, array: slurm.array, pack: slurm.pack,
  };
}
