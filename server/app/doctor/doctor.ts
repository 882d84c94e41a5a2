// `quayside doctor`, the side of the command: everything that can be looked at from this machine at once, and what the running server
// tells about its inside. Works on whatever of the settings can be read, and changes nothing but for a probe of a few bytes in each
// directory that must take writes.
import { examineConfig } from '../../config.ts'
import type { Check } from '../../http/contract/doctor.ts'
import { createGuard } from '../../sync/guard.ts'
import { runProbes } from './check.ts'
import { postgresProbe } from './database.ts'
import { fileProbes } from './files.ts'
import { loginProbes, regionProbes } from './hosts.ts'
import { mailProbe } from './mail.ts'
import { type AskOperator, runningProbes } from './running.ts'

/** Never rejects for what it finds wrong. `onEnd` hears the names of what still runs. */
export async function examine(
  environment: Record<string, string | undefined>,
  ask: AskOperator,
  onEnd?: (running: readonly string[]) => void
): Promise<Check[]> {
  const examined = examineConfig(environment)
  const { config, secrets } = examined
  const { databaseUrl, filesDirectory = '', privateHosts = [], publicUrl, production } = config
  const guard = createGuard({ filesDirectory, privateHosts })
  const probes = [
    ...fileProbes(environment, examined),
    ...(databaseUrl && !databaseUrl.startsWith('sqlite:') ? [postgresProbe(databaseUrl)] : []),
    ...regionProbes(secrets.apps ?? []),
    ...(secrets.identityProviders ? loginProbes(secrets.identityProviders, { publicUrl, production, ask: guard.fetch }) : []),
    ...(secrets.alerts?.smtp ? [mailProbe(secrets.alerts.smtp)] : []),
    ...runningProbes(examined, ask)
  ]
  return await runProbes(probes, onEnd)
}
