//! The functions of CUDA's libraries that a program with candle calls, as its linker lists them where they are nowhere defined.

use crate::jump::Library;

#[allow(non_snake_case)] // as NVIDIA names them
mod always {
    crate::jump::libraries! {
        "libcuda.so.1 (NVIDIA's driver)" in ["libcuda.so.1"]:
            cuCtxDestroy_v2 cuCtxGetCurrent cuCtxSetCurrent cuDeviceGet cuDeviceGetAttribute cuDeviceGetName
            cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxRetain cuDeviceTotalMem_v2 cuDriverGetVersion
            cuEventCreate cuEventDestroy_v2 cuEventRecord cuGetErrorString cuInit cuLaunchKernel
            cuMemAllocAsync cuMemAlloc_v2 cuMemFreeAsync cuMemFree_v2 cuMemcpyDtoDAsync_v2
            cuMemcpyDtoHAsync_v2 cuMemcpyHtoDAsync_v2 cuMemcpyPeerAsync cuMemsetD8Async cuModuleGetFunction
            cuModuleLoad cuModuleLoadData cuModuleUnload cuStreamDestroy_v2 cuStreamIsCapturing
            cuStreamSynchronize cuStreamWaitEvent;
        "libcublas (of the CUDA toolkit)" in ["libcublas.so.13", "libcublas.so.12", "libcublas.so"]:
            cublasCreate_v2 cublasDestroy_v2 cublasDgemmStridedBatched cublasGemmStridedBatchedEx
            cublasGetProperty cublasSetStream_v2;
        "libcurand (of the CUDA toolkit)" in ["libcurand.so.10", "libcurand.so"]:
            curandCreateGenerator curandDestroyGenerator curandSetPseudoRandomGeneratorSeed curandSetStream;
    }
}

#[cfg(feature = "cudnn")]
#[allow(non_snake_case)] // as NVIDIA names them
mod cudnn {
    crate::jump::libraries! {
        "libcudnn (cuDNN)" in ["libcudnn.so.9", "libcudnn.so"]:
            cudnnConvolutionForward cudnnCreate cudnnCreateConvolutionDescriptor cudnnCreateFilterDescriptor
            cudnnCreateTensorDescriptor cudnnDestroy cudnnDestroyConvolutionDescriptor
            cudnnDestroyFilterDescriptor cudnnDestroyTensorDescriptor cudnnGetConvolutionForwardAlgorithm_v7
            cudnnGetConvolutionForwardWorkspaceSize cudnnGetVersion cudnnSetConvolution2dDescriptor
            cudnnSetFilter4dDescriptor cudnnSetStream cudnnSetTensor4dDescriptor cudnnSetTensor4dDescriptorEx;
    }
}

/// All libraries, the one that is most often missing first.
pub(crate) fn libraries() -> impl Iterator<Item = &'static Library> {
    #[cfg(feature = "cudnn")]
    return always::LIBRARIES.iter().chain(cudnn::LIBRARIES);
    #[cfg(not(feature = "cudnn"))]
    always::LIBRARIES.iter()
}
