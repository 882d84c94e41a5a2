// The `quayside` command. One file per command in cli/; each talks to the running server, so that SQLite keeps one process and
// every act leaves its audit event. Exit 0 = done, 1 = refused (said on stderr), 2 = not understood.
import { Command, CommanderError } from 'commander'
import { accessKeyCommands } from './cli/access-keys.ts'
import { doctorCommand } from './cli/doctor.ts'
import { auditCommands } from './cli/audit.ts'
import { installationCommands } from './cli/installations.ts'
import { jobCommands } from './cli/jobs.ts'
import { keyCommands } from './cli/keys.ts'
import { tokenCommands } from './cli/tokens.ts'
import { organizationCommands } from './cli/organizations.ts'
import { isAppError } from './errors.ts'

const program = new Command('quayside').description("Quayside's command line, beside a running server").exitOverride().showHelpAfterError()
doctorCommand(program)
keyCommands(program)
installationCommands(program)
tokenCommands(program)
accessKeyCommands(program)
jobCommands(program)
auditCommands(program)
organizationCommands(program)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (isAppError(error)) {
    process.stderr.write(`${[error.message, ...Object.values(error.fields ?? {}).flat(), error.remedy].filter(Boolean).join('\n')}\n`)
    process.exitCode = 1
  } else throw error
}
