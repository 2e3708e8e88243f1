"""What of a server's environment its helpers get: what numbers, downloads and paths need, and nothing else.

A name that is not here does not pass, so that no secret of the server reaches a process that reads uploaded files or
loads pretrained weights: not the database's password, not the store's keys, not what else an operator has there.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Names that pass as they are, in either case: proxies are written in both.
_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE", "VIRTUAL_ENV"),
        *("TMPDIR", "TEMP", "TMP", "COLUMNS", "NO_COLOR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"),
    }
)
#: Families of names that pass: locale and loader, the interpreter, downloads, numbers on processors and accelerators.
_PREFIXES = (
    *("LC_", "LD_", "DYLD_", "MALLOC_", "XDG_", "PYTHON", "CONDA_", "PIP_"),
    *("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TOKENIZERS_", "SAFETENSORS_"),
    *("TORCH", "PYTORCH_", "TRITON_", "TF_", "POLARS_", "RAYON_", "ARROW_", "ORT_"),
    *("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "VECLIB_", "NUMEXPR_", "BLIS_"),
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "GLOO_", "UCX_", "FI_"),
    *("ROCM_", "ROCR_", "HIP_", "HSA_", "MIOPEN_", "RCCL_"),
)


def needed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a process which trains or checks files may see."""
    return {
        name: value for name, value in environ.items() if name.upper() in _NAMES or name.startswith(_PREFIXES)
    }
