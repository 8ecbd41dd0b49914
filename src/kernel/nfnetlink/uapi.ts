/** Numbers of linux/netfilter/nfnetlink.h and nf_tables.h that are used here, under the kernel's names. */

export const NFPROTO_INET = 1
export const NFPROTO_IPV4 = 2
export const NFPROTO_IPV6 = 10

export const NFNL_SUBSYS_NFTABLES = 10
export const NFNL_MSG_BATCH_BEGIN = 16
export const NFNL_MSG_BATCH_END = 17

export const NFT_MSG_NEWTABLE = 0
export const NFT_MSG_NEWCHAIN = 3
export const NFT_MSG_NEWRULE = 6
export const NFT_MSG_NEWSET = 9
export const NFT_MSG_GETSET = 10
export const NFT_MSG_NEWSETELEM = 12
export const NFT_MSG_GETSETELEM = 13
export const NFT_MSG_DELSETELEM = 14

export const NFTA_LIST_ELEM = 1
export const NFTA_TABLE_NAME = 1
export const NFTA_TABLE_FLAGS = 2

export const NFTA_CHAIN_TABLE = 1
export const NFTA_CHAIN_NAME = 3
export const NFTA_CHAIN_HOOK = 4
export const NFTA_CHAIN_POLICY = 5
export const NFTA_CHAIN_TYPE = 7
export const NFTA_HOOK_HOOKNUM = 1
export const NFTA_HOOK_PRIORITY = 2

export const NFTA_RULE_TABLE = 1
export const NFTA_RULE_CHAIN = 2
export const NFTA_RULE_EXPRESSIONS = 4
export const NFTA_EXPR_NAME = 1
export const NFTA_EXPR_DATA = 2

export const NFT_SET_INTERVAL = 0x4
export const NFTA_SET_TABLE = 1
export const NFTA_SET_NAME = 2
export const NFTA_SET_FLAGS = 3
export const NFTA_SET_KEY_TYPE = 4
export const NFTA_SET_KEY_LEN = 5
export const NFTA_SET_DATA_TYPE = 6
export const NFTA_SET_DATA_LEN = 7

export const NFT_SET_ELEM_INTERVAL_END = 0x1
export const NFTA_SET_ELEM_KEY = 1
export const NFTA_SET_ELEM_DATA = 2
export const NFTA_SET_ELEM_FLAGS = 3
export const NFTA_SET_ELEM_KEY_END = 10
export const NFTA_SET_ELEM_LIST_TABLE = 1
export const NFTA_SET_ELEM_LIST_SET = 2
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3

export const NFT_DATA_VERDICT = 0xffff_ff00
export const NFTA_DATA_VALUE = 1
export const NFTA_DATA_VERDICT = 2
export const NFTA_VERDICT_CODE = 1
export const NFTA_VERDICT_CHAIN = 2

export const NF_DROP = 0
export const NF_ACCEPT = 1
export const NFT_JUMP = -3
export const NFT_GOTO = -4
export const NFT_RETURN = -5
