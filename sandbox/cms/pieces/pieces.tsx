// The few pieces that several pages are built from: links, buttons, states, times. Each says its state with a mark and a word,
// colour only underlines it.
import { type ReactNode, useSyncExternalStore } from 'react'
import { CallFailure } from '../client.ts'
import type { Loaded } from '../cms-context.ts'
import { navigate } from '../route.ts'

export function Link({ to, children, className, current }: { to: string; children: ReactNode; className?: string; current?: boolean }) {
  return (
    <a
      href={to}
      className={className}
      aria-current={current ? 'page' : undefined}
      onClick={event => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
        event.preventDefault()
        navigate(to)
      }}
    >
      {children}
    </a>
  )
}

const marks = { good: '●', bad: '✕', wait: '◐', quiet: '○' }

export function State({ is, children }: { is: keyof typeof marks; children: ReactNode }) {
  return (
    <span className={`state ${is}`}>
      <span aria-hidden="true">{marks[is]}</span> {children}
    </span>
  )
}

export function Failure({ error }: { error: Error }) {
  const fields = error instanceof CallFailure ? Object.entries(error.fields) : []
  return (
    <div className="notice bad" role="alert">
      <p>
        {error.message}
        {error instanceof CallFailure ? (
          <span className="meta">
            {' '}
            HTTP {error.status}
            {error.code === undefined ? '' : `, error code ${error.code}`}
          </span>
        ) : null}
      </p>
      {fields.length > 0 ? (
        <ul>
          {fields.map(([field, problems]) => (
            <li key={field}>
              <code>{field}</code> {problems.join(' ')}
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  )
}

/** The error, the skeleton, or the page with its data. */
export function Await<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ReactNode }) {
  if (of.error) return <Failure error={of.error} />
  if (of.data === undefined) return <output className="skeleton" aria-label="Loading" />
  return <>{children(of.data)}</>
}

/** One clock for all times on the page; it moves while something shows a time. */
let present = Date.now()
function everyFewSeconds(notify: () => void): () => void {
  present = Date.now()
  const timer = setInterval(() => {
    present = Date.now()
    notify()
  }, 5000)
  return () => clearInterval(timer)
}

export function Time({ at }: { at: string | null | undefined }) {
  const now = useSyncExternalStore(everyFewSeconds, () => present)
  if (!at) return <span className="meta">never</span>
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {now - Date.parse(at) > monthMilliseconds ? at.slice(0, 10) : ago(now - Date.parse(at))}
    </time>
  )
}

const monthMilliseconds = 30 * 86_400_000

function ago(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 5) return 'just now'
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

export function Uid({ value }: { value: string }) {
  return (
    <code className="uid" title={value}>
      {value.length > 14 ? `${value.slice(0, 7)}…${value.slice(-4)}` : value}
    </code>
  )
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>
}
