#!/usr/bin/env node
// The `quayside` command for whatever Node the person has: an old one meets words, not a syntax error.
'use strict'
require('../scripts/require-node.cjs')
void import('./cli.ts')
