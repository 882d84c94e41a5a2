// `quayside doctor`: what is wrong, and what to do about it. Works without a server as far as it can; with one it asks it too. Exit 0
// when nothing is bad.
import type { Command } from 'commander'
import type { Check } from '../http/contract/doctor.ts'
import { askServer } from './server.ts'
import { plain } from './table.ts'

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('look at settings, files, database, clock, hosts, logins, server, tokens and webhooks, and say what to do')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      // Half the house hangs on it, and no other command needs that.
      const { examine } = await import('../app/doctor/doctor.ts')
      const progress = showProgress()
      const checks = await examine(
        process.env,
        (base, path, signal) => askServer('GET', path, undefined, undefined, { base, signal }),
        progress.running
      )
      progress.end()
      const isBad = checks.some(({ result }) => result === 'bad')
      const text = json === true ? JSON.stringify(checks) : reportOf(checks)
      await new Promise<void>(resolve => {
        process.stdout.write(`${text}\n`, () => resolve())
      })
      // What did not come to an end may still hold a connection open, and would keep this waiting.
      process.exit(isBad ? 1 : 0)
    })
}

const marks = { ok: 'ok', warn: 'WARN', bad: 'BAD', skipped: '-' } as const satisfies Record<Check['result'], string>

function reportOf(checks: readonly Check[]): string {
  const nameWidth = Math.max(...checks.map(({ name }) => plain(name).length))
  const lines = checks.flatMap(({ name, result, detail, remedy }) => {
    const line = `${marks[result].padEnd(4)}  ${plain(name).padEnd(nameWidth)}  ${plain(detail)}`
    return remedy === '' ? [line] : [line, `${' '.repeat(nameWidth + 8)}-> ${plain(remedy)}`]
  })
  return [...lines, '', summaryOf(checks)].join('\n')
}

function summaryOf(checks: readonly Check[]): string {
  const count = (result: Check['result']) => checks.filter(check => check.result === result).length
  const words = [`${count('bad')} bad`, `${count('warn')} to look at`, `${count('ok')} ok`, `${count('skipped')} not looked at`]
  return words.filter((word, at) => at === 0 || !word.startsWith('0 ')).join(', ')
}

const quietMs = 1_000

/** Nothing for the first second; then who is being waited for, on stderr: one line that changes, or one line for a log. */
function showProgress(): { running(names: readonly string[]): void; end(): void } {
  let names: readonly string[] = []
  let shown = false
  const isScreen = process.stderr.isTTY
  const show = () => {
    if (names.length === 0 || (shown && !isScreen)) return
    shown = true
    const line = `Waiting for ${names.join(', ')} …`
    process.stderr.write(isScreen ? `\r\u001B[K${line.slice(0, process.stderr.columns - 1)}` : `${line}\n`)
  }
  const timer = setInterval(show, quietMs)
  return {
    running(still) {
      names = still
      if (shown && isScreen) show()
    },
    end() {
      clearInterval(timer)
      if (shown && isScreen) process.stderr.write('\r\u001B[K')
    }
  }
}
