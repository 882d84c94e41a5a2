// The `quayside` command. One file per command in cli/; each talks to the running server, so that SQLite keeps one process and
// every act leaves its audit event. Exit 0 = done, 1 = refused (said on stderr), 2 = not understood.
import { cac } from 'cac'
import { accessKeyCommands } from './cli/access-keys.ts'
import { installationCommands } from './cli/installations.ts'
import { keyCommands } from './cli/keys.ts'
import { isAppError } from './errors.ts'

const cli = cac('quayside')
keyCommands(cli)
installationCommands(cli)
accessKeyCommands(cli)
cli.help()

try {
  cli.parse(process.argv, { run: false })
  if (cli.matchedCommand) await cli.runMatchedCommand()
  else if (!cli.options.help) {
    cli.outputHelp()
    process.exitCode = 2
  }
} catch (error) {
  const remedy = isAppError(error) && error.remedy ? `\n${error.remedy}` : ''
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${remedy}\n`)
  process.exitCode = isAppError(error) ? 1 : 2
}
