// Bringing a token in, or a new one for the one that stands, by a person's authorization: how long it lives, which branches it
// reaches, and then the steps of the authorization. By paste: paste-token.tsx.
import { useState } from 'react'
import type { Token } from '../../../server/http/contract/custody.ts'
import { isApiError } from '../../api/http.ts'
import { Button, Problem, useFocused } from '../basics.tsx'
import { Choice, fieldErrors, RadioField, TextField } from '../field.tsx'
import { Icon } from '../icon.tsx'
import { GrantProgress, useAuthorise } from './authorise.tsx'
import { ByPaste, type PasteProps } from './paste-token.tsx'
import { useStack } from './stack-view.tsx'

interface ConnectProps extends PasteProps {
  way: 'grant' | 'paste'
  /** The token that goes when another comes, and whose branches the other takes on; null = none, or not to be seen. */
  former: Token | null
}

export function ConnectToken(given: ConnectProps) {
  // As it was when the form opened: the token that comes in must not turn "connect" into "replace" under the reader's eyes.
  const [{ replacing, former }] = useState(given)
  const props = { ...given, replacing, former }
  return (
    <div className="panel">
      <div className="panel-body">{props.way === 'grant' ? <ByGrant {...props} /> : <ByPaste {...props} />}</div>
    </div>
  )
}

const lives: [days: string, label: string, consequence: string][] = [
  ['90', 'In 90 days.', 'A person clicks once every 90 days; when nobody does, syncs wait.'],
  ['180', 'In 180 days.', 'A person clicks twice a year; a leak that nobody notices may last half a year.'],
  ['365', 'In 365 days.', 'A person clicks once a year; a leak that nobody notices may last all of it.'],
  ['', 'Never.', 'Nobody has to click, and nobody notices a leak.']
]

function ByGrant({ replacing, former, onWay, onClose }: ConnectProps) {
  const { branches } = useStack()
  const [days, setDays] = useState('90')
  const [branchText, setBranchText] = useState((former?.branches.length ? former.branches : branches).join(', ') || 'main')
  const [overLimit, setOverLimit] = useState(false)
  const [failedOnce, setFailedOnce] = useState(false)
  const authorise = useAuthorise()
  const heading = useFocused<HTMLHeadingElement>()
  const wanted = branchText
    .split(',')
    .map(branch => branch.trim())
    .filter(Boolean)

  if (authorise.data) {
    return (
      <GrantProgress
        started={authorise.data}
        formerId={former?.id ?? null}
        onClose={onClose}
        onAgain={() => {
          setFailedOnce(true)
          authorise.reset()
        }}
        success={replacing ? 'The new token is in custody.' : "The stack's own token is in custody."}
      />
    )
  }
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (authorise.isPending) return
        authorise.mutate({
          purpose: replacing ? 'rotate' : 'mint',
          expiresInDays: days === '' ? null : Number(days),
          branches: wanted,
          ...(overLimit ? { overLimit } : {})
        })
      }}
    >
      <h3 ref={heading} tabIndex={-1}>
        {replacing ? 'Rotate the token' : 'Connect this stack'}
      </h3>
      <p className="muted">
        A window of Contentstack asks you to authorise Quayside for management tokens, nothing else. You must be Owner or Admin of this
        stack.
        {replacing ? ' Work goes on with the new token before the old one is deleted; if anything fails, the old one stays.' : ''}
      </p>
      <RadioField label="The token expires" value={days} onValue={setDays} options={lives} />
      <TextField
        label="Branches"
        value={branchText}
        onValue={setBranchText}
        hint="That it reaches, separated by commas."
        errors={fieldErrors(authorise.error, 'branches')}
      />
      <Problem error={authorise.error} />
      {/* Which of a failed grant's reasons it was only its words tell, so the choice stands after any of them, and says when it counts. */}
      {overLimit || failedOnce || isApiError(authorise.error, 'conflict') ? (
        <Choice
          type="checkbox"
          label="Mint all the same: Contentstack may expire the stack's oldest token without a word."
          hint="Counts where the stack has 10 valid tokens or more."
          checked={overLimit}
          onValue={setOverLimit}
        />
      ) : null}
      <div className="row">
        <Button look="primary" type="submit" busy={authorise.isPending && 'Opening…'}>
          Authorise in Contentstack
          <Icon name="outside" />
        </Button>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="plain" onClick={() => onWay('paste')}>
          Paste a token instead
        </Button>
      </div>
    </form>
  )
}
