# Completion of prongctl for bash. Names of pools come from the daemon, if one answers: those that stand eight blanks deep
# in its answer (what is deeper are names of metrics).

_prongctl_pools() {
  # 2>/dev/null: without a daemon there is nothing to complete, and nobody to tell.
  prongctl --json status 2>/dev/null | sed -n 's/^ \{8\}"name": "\([A-Za-z0-9_-]*\)",*$/\1/p'
}

_prongctl_codes() {
  prongctl explain | sed -n 's/^\(PR[0-9]*\) .*/\1/p'
}

_prongctl() {
  local verbs="status workers metrics top reload stop scale recycle pause resume log-level reopen-logs config explain version"
  local word=${COMP_WORDS[COMP_CWORD]} verb="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --socket) ((i++)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]}; break ;;
    esac
  done
  if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --socket ]; then
    compopt -o default  # names of files
    return
  fi
  local words="--json --socket --help"
  case $verb in
    "") words+=" --version $verbs" ;;
    status | workers | metrics) words+=" --over $(_prongctl_pools)" ;;
    top) words+=" --every $(_prongctl_pools)" ;;
    scale | recycle | pause | resume) words+=" $(_prongctl_pools)" ;;
    reload) words+=" --plan $(_prongctl_pools)" ;;
    stop) words+=" --fast --no-wait" ;;
    explain) words+=" $(_prongctl_codes)" ;;
    log-level) words+=" debug info warn error" ;;
  esac
  # No word has a space.
  # shellcheck disable=SC2207
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -F _prongctl prongctl
