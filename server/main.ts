// Environment in, app up, SIGTERM down. Nothing else.
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'
import { isAppError } from './errors.ts'
import { createLog } from './log.ts'

/** Written whatever the log's level. */
const lastWords = createLog('error')

try {
  const { config, secrets } = loadConfig(process.env)
  const log = createLog(config.logLevel)
  // Node would print such an error with all that hangs on it: a request, a row, a credential.
  const breakDown = (error: unknown) => {
    lastWords.error({ error }, 'Quayside broke down')
    process.exit(1)
  }
  process.on('uncaughtException', breakDown).on('unhandledRejection', breakDown)
  const app = await createApp(config, secrets, log)
  log.info({ url: app.url, publicUrl: config.publicUrl, role: config.role }, 'Quayside is up')

  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'Quayside is going down')
    app.close().then(
      () => process.exit(0),
      error => {
        log.error({ error }, 'Quayside did not go down cleanly')
        process.exit(1)
      }
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
} catch (error) {
  // The environment holds secrets, so nothing but the message and the remedy is printed for a refusal of ours, and for a defect what
  // passes the log.
  if (isAppError(error)) process.stderr.write(`${error.message}\n${error.remedy ? `${error.remedy}\n` : ''}`)
  else lastWords.error({ error }, 'Quayside did not start')
  process.exit(1)
}
