// Bringing a token in. By grant: the person authorises in a window of Contentstack's own, this page watches custody until the
// token stands and the authorization is given back. By paste: the token travels once, in a request body, and is forgotten here.
//   choosing -> waiting (window open, custody polled every second) -> done | failed
import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { Grant } from '../../../server/http/contract/stack.ts'
import { Button, Notice, Problem } from '../basics.tsx'
import { fieldErrors, SelectField, TextField } from '../field.tsx'
import { Icon } from '../icon.tsx'
import { finishedGrant, useGrant, useRefresh, useStack } from './stack-view.tsx'

interface Props {
  way: 'grant' | 'paste'
  replacing: boolean
  onWay: (way: 'grant' | 'paste') => void
  onClose: () => void
}

export function ConnectToken(given: Props) {
  // As it was when the form opened: the token that comes in must not turn "connect" into "replace" under the reader's eyes.
  const [replacing] = useState(given.replacing)
  const props = { ...given, replacing }
  return (
    <div className="panel">
      <div className="panel-body">{props.way === 'grant' ? <ByGrant {...props} /> : <ByPaste {...props} />}</div>
    </div>
  )
}

function ByGrant({ replacing, onWay, onClose }: Props) {
  const { api, branches } = useStack()
  const [days, setDays] = useState('90')
  const [branchText, setBranchText] = useState(branches.join(', ') || 'main')
  const [link, setLink] = useState<string | null>(null)
  const start = useMutation({
    mutationFn: async () => {
      // Opened within the click, or the browser takes it for an advertisement; where it is not allowed at all, a link stands in.
      const opened = window.open('', '_blank')
      try {
        const wanted = branchText
          .split(',')
          .map(branch => branch.trim())
          .filter(Boolean)
        const grant = await api.startGrant({
          purpose: replacing ? 'rotate' : 'mint',
          expiresInDays: days === '' ? null : Number(days),
          branches: wanted
        })
        if (opened) {
          opened.opener = null
          opened.location.replace(grant.url)
        } else setLink(grant.url)
        return grant
      } catch (error) {
        opened?.close()
        throw error
      }
    }
  })

  if (start.data) {
    return (
      <>
        {link ? (
          <Notice tone="wait" title="Your browser did not open the window.">
            <a href={link} target="_blank" rel="noopener noreferrer">
              Open Contentstack's consent page
            </a>
            <p className="meta">The address works once, for a minute.</p>
          </Notice>
        ) : null}
        <GrantProgress grantId={start.data.grantId} replacing={replacing} onClose={onClose} onAgain={() => start.reset()} />
      </>
    )
  }
  return (
    <>
      <h3>{replacing ? 'Replace the token' : 'Connect this stack'}</h3>
      <p className="muted">
        A window of Contentstack asks you to authorise Quayside for management tokens, nothing else. You must be Owner or Admin of this
        stack.
        {replacing ? ' The old token is deleted once the new one is verified.' : ''}
      </p>
      <div className="fields">
        <SelectField
          label="Token expires"
          value={days}
          onValue={setDays}
          options={[
            ['90', 'in 90 days'],
            ['180', 'in 180 days'],
            ['365', 'in 365 days'],
            ['', 'never']
          ]}
        />
        <TextField
          label="Branches"
          value={branchText}
          onValue={setBranchText}
          hint="Separated by commas."
          errors={fieldErrors(start.error, 'branches')}
        />
      </div>
      <Problem error={start.error} />
      <div className="row">
        <Button look="primary" busy={start.isPending && 'Opening…'} onClick={() => start.mutate()}>
          Authorise in Contentstack
          <Icon name="outside" />
        </Button>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="plain" onClick={() => onWay('paste')}>
          Paste a token instead
        </Button>
      </div>
    </>
  )
}

const stages: [title: string, reached: Grant['status'][]][] = [
  ['You authorise in the other window', ['exchanged', 'minted', 'revoked', 'revoke_refused']],
  ['A token is minted for the stack, sealed and verified', ['minted', 'revoked', 'revoke_refused']],
  ['Your authorization is given back', ['revoked']]
]

function GrantProgress({
  grantId,
  replacing,
  onClose,
  onAgain
}: {
  grantId: string
  replacing: boolean
  onClose: () => void
  onAgain: () => void
}) {
  const { onToken } = useStack()
  const refresh = useRefresh()
  const { grant, error } = useGrant(grantId)
  const status = grant?.status ?? 'started'
  const finished = finishedGrant(status)
  const told = useRef(false)

  useEffect(() => {
    if (!finished || told.current) return
    told.current = true
    // Whoever connected is proven an admin by the new token: who they are is asked again before what they may see.
    void (status === 'failed' ? Promise.resolve() : (onToken?.() ?? Promise.resolve())).then(refresh)
  }, [finished, status, onToken, refresh])

  return (
    <>
      <h3>{finished ? (status === 'failed' ? 'The token was not connected' : 'Connected') : 'Connecting'}</h3>
      <ol className="steps" aria-live="polite">
        {stages.map(([title, reached], index) => {
          const done = reached.includes(status)
          const current = !finished && !done && stages.slice(0, index).every(([, before]) => before.includes(status))
          return (
            <li key={title} className={`row ${done ? 'tone-good' : current ? 'tone-moving' : 'tone-quiet'}`}>
              <Icon name={done ? 'checked' : current ? 'turning' : 'none'} className={current ? 'spin' : ''} />
              <span>
                {title}
                <span className="only-heard">{done ? ', done' : current ? ', under way' : ''}</span>
              </span>
            </li>
          )
        })}
      </ol>
      {status === 'failed' ? <Notice tone="bad" live title={grant?.error ?? 'The authorization did not come through.'} /> : null}
      {status === 'revoked' ? (
        <Notice tone="good" live title={replacing ? 'The new token is in custody.' : "The stack's own token is in custody."}>
          <p>Nothing of yours is kept: Contentstack confirms that the authorization is gone.</p>
        </Notice>
      ) : null}
      <Problem error={error} />
      <div className="row">
        <Button onClick={onClose}>{finished ? 'Close' : 'Stop watching'}</Button>
        {status === 'failed' ? (
          <Button look="primary" onClick={onAgain}>
            Try again
          </Button>
        ) : null}
      </div>
    </>
  )
}

function ByPaste({ replacing, onWay, onClose }: Props) {
  const { api, onToken } = useStack()
  const refresh = useRefresh()
  const [token, setToken] = useState('')
  const paste = useMutation({
    mutationFn: () => api.pasteToken({ token: token.trim() }),
    onSuccess: async kept => {
      setToken('')
      if (kept.status === 'active') await onToken?.()
      await refresh()
    }
  })
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!paste.isPending) paste.mutate()
      }}
    >
      <h3>{replacing ? 'Replace by a pasted token' : 'Paste a management token'}</h3>
      <p className="muted">
        Made in Contentstack under Settings, Tokens, Management Tokens, with read and write. It is verified against this stack before it is
        kept, then sealed, and never shown again. Never paste an authtoken: it is a person's, and is refused.
      </p>
      <TextField
        label="Token"
        type="password"
        autoComplete="off"
        spellCheck={false}
        value={token}
        onValue={setToken}
        required
        maxLength={512}
        errors={fieldErrors(paste.error, 'token')}
      />
      <Problem error={paste.error} />
      {paste.data ? (
        <Notice
          tone={paste.data.status === 'active' ? 'good' : 'bad'}
          live
          title={paste.data.error ?? 'The token is verified and in custody.'}
        />
      ) : null}
      <div className="row">
        <Button look="primary" type="submit" busy={paste.isPending && 'Verifying…'}>
          Verify and keep
        </Button>
        <Button onClick={onClose}>{paste.data ? 'Close' : 'Cancel'}</Button>
        <Button look="plain" onClick={() => onWay('grant')}>
          Authorise instead
        </Button>
      </div>
    </form>
  )
}
