// Where the organization forbids authorizations a person makes the token and pastes it. It travels once, in a request body, and is
// forgotten here; verified like any other, before it is kept.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { Button, Notice, Problem, useFocused } from '../basics.tsx'
import { fieldErrors, TextField } from '../field.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

export interface PasteProps {
  replacing: boolean
  onWay: (way: 'grant' | 'paste') => void
  onClose: () => void
}

export function ByPaste({ replacing, onWay, onClose }: PasteProps) {
  const { api, onToken } = useStack()
  const refresh = useRefresh()
  const [token, setToken] = useState('')
  const heading = useFocused<HTMLHeadingElement>()
  const paste = useMutation({
    mutationFn: () => api.pasteToken({ token: token.trim() }),
    onSuccess: async kept => {
      setToken('')
      if (kept.status === 'active' || kept.status === 'expiring') await onToken?.()
      await refresh()
    }
  })
  const kept = paste.data && (paste.data.status === 'active' || paste.data.status === 'expiring')
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!paste.isPending) paste.mutate()
      }}
    >
      <h3 ref={heading} tabIndex={-1}>
        {replacing ? 'Replace by a pasted token' : 'Paste a management token'}
      </h3>
      <p className="muted">
        Made in Contentstack under Settings, Tokens, Management Tokens, with read and write. It is verified against this stack before it is
        kept, then sealed, and never shown again. Never paste an authtoken: it is a person's, and is refused.
        {replacing ? ' The former token stays listed below until it is deleted in Contentstack.' : ''}
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
      {paste.data ? <Notice tone={kept ? 'good' : 'bad'} live title={paste.data.error ?? 'The token is verified and in custody.'} /> : null}
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
